"""Least privilege, as shipped, on a real server: what each user needs works, what it does not is refused."""

import pytest

from chorus.common.contracts.permissions import USERS
from chorus.common.contracts.topology import KV_BUCKETS
from chorus.common.errors import NotPermitted
from tests.support.servers import Servers

# user, what it publishes to, whether it may
PUBLISH = [
    ("gateway", "train.job.local", True),
    ("gateway", "train.control.abc", True),
    ("gateway", "train.v1.check", True),
    ("gateway", "$JS.API.STREAM.MSG.GET.EVENTS", True),
    ("gateway", "$JS.API.STREAM.MSG.GET.TRAIN", False),
    ("gateway", "$JS.API.STREAM.MSG.DELETE.EVENTS", False),
    ("gateway", "$JS.API.CONSUMER.CREATE.EVENTS", False),
    ("gateway", "data.v1.import", True),
    ("gateway", "train.v1.merge", True),
    ("gateway", "train.v1.cancel.abc", True),
    ("gateway", "infer.v1.generate", True),
    ("gateway", "infer.v1.cancel.abc", True),
    ("gateway", "speech.v1.tts", True),
    ("gateway", "speech.v1.stt", True),
    ("gateway", "speech.v1.cancel.abc", True),
    ("gateway", "$KV.jobs.local.abc", True),
    ("gateway", "$KV.datasets.local.abc", False),
    ("gateway", "$KV.identify.0", True),
    ("trainer", "$KV.identify.0", False),
    ("gateway", "evt.trainer.local.abc.message", False),
    ("gateway", "$JS.API.CONSUMER.MSG.NEXT.TRAIN.trainer", False),
    ("gateway", "$JS.API.STREAM.CREATE.X", False),
    ("gateway", "$JS.API.CONSUMER.CREATE.KV_jobs", False),
    ("gateway", "_INBOX.trainer.abc", False),
    ("trainer", "$JS.API.CONSUMER.MSG.NEXT.TRAIN.trainer", True),
    ("trainer", "evt.trainer.local.abc.message", True),
    ("trainer", "dlq.train.local", True),
    ("trainer", "$KV.models.local.main", True),
    ("trainer", "train.job.local", True),  # what was lost from the queue is published again
    ("trainer", "train.control.abc", False),
    ("trainer", "$JS.API.STREAM.MSG.GET.TRAIN", True),
    ("trainer", "$JS.API.STREAM.MSG.DELETE.TRAIN", True),
    ("trainer", "$JS.API.STREAM.MSG.DELETE.EVENTS", False),
    ("trainer", "$JS.API.STREAM.PURGE.TRAIN", False),
    ("trainer", "infer.v1.generate", True),
    ("trainer", "infer.v1.cancel.abc", True),
    ("trainer", "$JS.API.STREAM.DELETE.TRAIN", False),
    ("trainer", "_INBOX.gateway.abc", False),
    ("inference", "$JS.API.STREAM.MSG.GET.KV_models", True),
    ("inference", "$KV.models.local.main", False),
    ("inference", "$JS.API.STREAM.MSG.GET.KV_jobs", False),
    ("inference", "train.control.abc", False),
    ("inference", "data.v1.import", False),
    ("inference", "_INBOX.gateway.abc", False),
    ("speech", "$SRV.PING", False),
    ("speech", "speech.v1.stt", False),
    ("speech", "evt.speech.local.abc.message", False),
    ("speech", "$KV.models.local.main", False),
    ("gateway", "$KV.quotas.1.2.questions", True),
    ("trainer", "$KV.quotas.1.2.questions", False),
    ("speech", "infer.v1.generate", False),
    ("speech", "_INBOX.gateway.abc", False),
    ("provisioner", "$JS.API.STREAM.CREATE.X", True),
    ("inference", "train.job.local", False),
    ("provisioner", "train.job.local", False),
    ("provisioner", "$KV.models.local.main", False),
    ("operator", "infer.v1.generate", True),
    ("operator", "speech.v1.tts", True),
    ("operator", "speech.v1.stt", True),
    ("operator", "speech.v1.cancel.abc", True),
    ("operator", "$SRV.PING", True),
    ("operator", "$SRV.INFO.inference", True),
    ("operator", "$SRV.STATS.inference.abc", True),
    ("operator", "$SRV.anything", False),
    *(("operator", f"$JS.API.CONSUMER.CREATE.{bucket.name}", True) for bucket in KV_BUCKETS),
    ("operator", "$JS.API.STREAM.INFO.TRAIN", True),
    ("operator", "train.control.abc", True),
    ("operator", "train.job.local", False),
    ("operator", "train.v1.order", True),
    ("gateway", "train.v1.order", False),
    ("operator", "$JS.API.CONSUMER.PAUSE.TRAIN.trainer", True),
    ("trainer", "$JS.API.CONSUMER.PAUSE.TRAIN.trainer", False),
    ("operator", "$JS.API.CONSUMER.PAUSE.KV_jobs.x", False),
    ("operator", "$JS.API.STREAM.PURGE.DLQ", True),
    ("operator", "$JS.API.STREAM.PURGE.TRAIN", False),
    ("operator", "$JS.API.STREAM.PURGE.KV_models", False),
    ("operator", "$JS.API.STREAM.SNAPSHOT.TRAIN", True),
    ("operator", "$JS.SNAPSHOT.ACK.TRAIN.abc", True),
    ("operator", "$JS.API.STREAM.RESTORE.TRAIN", False),
    ("operator", "$JS.SNAPSHOT.RESTORE.TRAIN.abc", False),
    ("provisioner", "$JS.API.STREAM.RESTORE.TRAIN", True),
    ("provisioner", "$JS.SNAPSHOT.RESTORE.TRAIN.abc", True),
    ("gateway", "$JS.API.STREAM.SNAPSHOT.KV_models", False),
    ("trainer", "$JS.API.STREAM.SNAPSHOT.TRAIN", False),
    ("operator", "train.v1.check", False),
    ("operator", "$KV.jobs.local.abc", False),
    ("operator", "$KV.models.local.main", False),
    ("operator", "$JS.API.STREAM.DELETE.TRAIN", False),
]

# user, what it subscribes to, queue group, whether it may
SUBSCRIBE = [
    ("gateway", "evt.trainer.local.abc.*", "", True),
    ("gateway", "infer.v1.generate", "q", False),
    ("gateway", "train.control.*", "", False),
    ("gateway", "train.v1.check", "q", False),
    ("gateway", "changed.jobs.>", "", True),
    ("trainer", "train.control.*", "", True),
    ("trainer", "data.v1.import", "q", True),
    ("trainer", "data.v1.import", "", False),
    ("trainer", "train.v1.merge", "q", True),
    ("trainer", "train.v1.merge", "", False),
    ("trainer", "infer.v1.generate", "q", False),
    ("trainer", "train.job.*", "", False),
    ("trainer", "train.v1.check", "q", True),
    ("trainer", "train.v1.check", "", False),
    ("trainer", "train.v1.order", "q", True),
    ("trainer", "train.v1.order", "", False),
    ("trainer", "changed.jobs.>", "", True),
    ("trainer", "changed.consent.>", "", False),
    ("trainer", "evt.>", "", False),
    ("trainer", "_INBOX.gateway.>", "", False),
    ("inference", "infer.v1.generate", "q", True),
    ("inference", "infer.v1.generate", "", False),
    ("inference", "infer.v1.cancel.*", "", True),
    ("inference", "changed.models.>", "", True),
    ("inference", "changed.jobs.>", "", False),
    ("inference", "evt.>", "", False),
    ("speech", "speech.v1.tts", "q", True),
    ("speech", "speech.v1.stt", "q", True),
    ("speech", "speech.v1.tts", "", False),
    ("speech", "speech.v1.stt", "", False),
    ("speech", "speech.v1.cancel.*", "", True),
    ("speech", "$SRV.PING.speech", "", True),
    ("speech", "infer.v1.generate", "q", False),
    ("speech", "evt.>", "", False),
    ("gateway", "speech.v1.tts", "q", False),
    ("provisioner", "evt.>", "", False),
    ("operator", "evt.>", "", True),
    ("operator", "changed.jobs.>", "", True),
    ("operator", "train.job.*", "", True),
    *(
        ("operator", subject, queue, False)
        for subject in (
            "_INBOX.gateway.>",
            "train.>",
            "train.v1.>",
            "train.v1.check",
            "train.v1.order",
            "train.v1.merge",
            "train.v1.cancel.*",
            "train.control.*",
            "data.v1.delete",
            "consent.v1.forget",
            "infer.v1.generate",
            "speech.v1.stt",
            "$SRV.>",
            "$SRV.PING",
            "$SRV.STATS.trainer",
        )
        for queue in ("", "q")
    ),
]


@pytest.mark.parametrize(("user", "subject", "allowed"), PUBLISH)
async def test_publish(servers: Servers, user: str, subject: str, allowed: bool) -> None:
    async with servers.connected(user) as connection:
        with connection.refusal_of(subject) as refusal:
            # An expectation that cannot hold, so that nothing is stored where it is allowed.
            await connection.publish(subject, b"", headers={"Nats-Expected-Last-Sequence": "987654321"})
            await connection.flush()
            assert refusal.done() is not allowed


@pytest.mark.parametrize(("user", "subject", "queue", "allowed"), SUBSCRIBE)
async def test_subscribe(servers: Servers, user: str, subject: str, queue: str, allowed: bool) -> None:
    async with servers.connected(user) as connection:
        if allowed:
            await connection.listen(subject, queue=queue)
        else:
            with pytest.raises(NotPermitted):
                await connection.listen(subject, queue=queue)


def test_every_user_is_in_the_matrix() -> None:
    assert set(USERS) == {row[0] for row in PUBLISH} == {row[0] for row in SUBSCRIBE}
