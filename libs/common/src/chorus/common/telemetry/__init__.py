"""What a service shows of itself.

logging      one JSON object a line, with the ids of what is being done
metrics      what all services count
tracing      which command led to what, through all services
health       /metrics, and whether it is alive and ready
"""
