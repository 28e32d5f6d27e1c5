"""Chorus from a script or a notebook.

from chorus.client import SyncClient

chorus = SyncClient()  # joins the Chorus that runs here
chorus.train([{"user": "When do you open?", "bot": "At seven."}], model="club").wait()
chorus.load_model("club")
print(chorus.chat("When do you open?"))

`Client` is the same for asyncio. Both do what the commands of the console do, by the same code. What goes
wrong is a `ChorusError`: its words say what to do, its `code` never changes.
"""

from chorus.client.client import Client
from chorus.client.job import Job
from chorus.client.sync import SyncClient, SyncJob
from chorus.common.errors import ChorusError
from chorus.gateway.commands.context import Session

__all__ = ["ChorusError", "Client", "Job", "Session", "SyncClient", "SyncJob"]
