"""`python -m chorus.gateway`: the gateway, with the front-ends that its settings switch on."""

import sys

from chorus.common.service import run
from chorus.gateway.app import build
from chorus.gateway.settings import GatewaySettings

if __name__ == "__main__":
    sys.exit(run("gateway", GatewaySettings, build))
