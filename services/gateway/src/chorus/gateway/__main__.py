"""`python -m chorus.gateway`: the gateway, with the front-ends that its settings switch on.

`python -m chorus.gateway import export.json --name club`: one command, and no front-end.
`python -m chorus.gateway init`: asks what there is to set, and writes it down.
`python -m chorus.gateway doctor`: looks whether all is well.
"""

import sys
from functools import partial

from chorus.common.service import run
from chorus.gateway.app import build
from chorus.gateway.settings import GatewaySettings


def main(words: list[str]) -> int:
    """All that this process does; returns its exit code."""
    if words[:1] == ["init"]:  # before there are settings that could be read
        from chorus.gateway.frontends.cli.init import init

        return init(words[1:])
    if words[:1] == ["doctor"]:
        from chorus.gateway.frontends.cli.doctor import doctor

        return doctor(words[1:])
    return run("gateway", GatewaySettings, partial(build, words=words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
