#!/usr/bin/env python3
"""Restarts a service and waits until it is ready: commands and events over one socket, by asyncio.

    python3 restart.py /service/.svscan/control.sock web

Only the standard library is needed. Exit status: 0 restarted, 1 the hub says no, 111 a system
error. README.md explains the steps.
"""

import asyncio
import errno
import json
import sys

LONGEST = 1 << 16  # no line of a hub is longer


class Refused(Exception):
    """The hub cannot do what it was asked to."""


class Restart:
    """One restart, over as many connections as it takes."""

    def __init__(self, service):
        self.service = service
        self.epoch = None  # the cursor: the journal that we know,
        self.seq = 0  # and the last event of it that we have seen
        self.last = 0  # the newest event when the hub said hello
        self.asked = False  # over any connection
        self.waiting = False  # for the answer, over this connection
        self.taken = False  # the events say that supervise has our command,
        self.ready = False  # and that the service is ready again

    async def run(self, path):
        """Returns when the service is ready again."""
        while True:
            try:
                if await self.connection(path):
                    return
                if self.epoch is None:
                    raise ConnectionError(errno.EPROTO, "not a hub")
                print(f"the hub has gone; waiting for it after event {self.seq}", file=sys.stderr)
            except OSError:
                if self.epoch is None:
                    raise  # there has never been a hub
            await asyncio.sleep(0.1)

    async def connection(self, path):
        """Handles one connection. Returns False if it was lost before all was done."""
        reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST)
        try:
            self.waiting = False
            # A line without its end is the last word of a hub that was killed.
            while (line := await reader.readline()).endswith(b"\n"):
                record = json.loads(line)
                if record["event"] == "hello":
                    self.hello(record, writer)
                elif self.handle(record):
                    return True
                if self.ready and not self.waiting:
                    return True  # the hub that owed us the answer is dead
                self.ask_once(writer)
            return False
        finally:
            writer.close()

    def hello(self, record, writer):
        """Says where to go on; the first time nothing, and the hub tells the states."""
        self.send(writer, {"after": self.seq, "epoch": self.epoch} if self.epoch else {})
        if record["epoch"] != self.epoch:
            self.seq = 0  # another journal counts anew
        self.epoch, self.last = record["epoch"], record["last"]

    def handle(self, record):
        """Takes one record, and returns whether it is the end."""
        event = record["event"]
        if event in ("answer", "error"):
            if not record.get("ok"):
                raise Refused(record.get("reason", "not restarted"))
            print(f"{self.service}: restarted", flush=True)
            return True
        if event != "state":  # the seq of a state is that of an old event
            self.seq = record.get("seq", self.seq)
        if record.get("service") != self.service:
            return False
        facts = {key: record[key] for key in ("state", "pid", "exit", "why", "reason") if key in record}
        print(f"{self.service}: {event} {json.dumps(facts)}", flush=True)
        if self.asked and event == "command" and record.get("command") == "restart":
            self.taken = True
        self.ready = self.ready or self.taken and event == "ready"
        return False

    def ask_once(self, writer):
        """Sends the request, unless it is under way, as soon as we know all that was."""
        if self.waiting or self.taken or self.seq < self.last:
            return
        self.asked = self.waiting = True
        self.send(writer, {"id": 1, "do": "restart", "service": [self.service], "wait": "R"})

    @staticmethod
    def send(writer, message):
        """Sends one line. That it could not be sent is noticed when we read."""
        writer.write(json.dumps(message).encode() + b"\n")


def main():
    if len(sys.argv) != 3:
        print("usage: restart.py SOCKET SERVICE", file=sys.stderr)
        return 100
    try:
        asyncio.run(Restart(sys.argv[2]).run(sys.argv[1]))
    except Refused as why:
        print(f"{sys.argv[2]}: {why}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as why:  # ValueError: what answers is no hub
        print(f"{sys.argv[1]}: {why}", file=sys.stderr)
        return 111
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
