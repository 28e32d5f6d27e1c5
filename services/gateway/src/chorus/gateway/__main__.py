"""`python -m chorus.gateway`: the gateway, with the front-ends that its settings switch on.

`python -m chorus.gateway import export.json --name club`: one command, and no front-end.
"""

import sys
from functools import partial

from chorus.common.service import run
from chorus.gateway.app import build
from chorus.gateway.settings import GatewaySettings

if __name__ == "__main__":
    sys.exit(run("gateway", GatewaySettings, partial(build, words=sys.argv[1:])))
