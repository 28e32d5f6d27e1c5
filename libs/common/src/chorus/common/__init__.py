"""What every Chorus service shares: the words on the wire, the bus, objects, telemetry and lifecycle.

It imports no service, and nothing heavier than a NATS client: the gateway's image pays for all of it.
"""
