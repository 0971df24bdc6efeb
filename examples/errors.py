"""See what becomes of a run when a task fails: the others go on, or all of it ends.

$ python examples/errors.py
continue: flawed, {'pack': {'packed': True}}, (ValueError('the card is expired'),)
abort: failed, {}, (ValueError('the card is expired'),)
"""

from __future__ import annotations

import logging

import anyio

import tukio


@tukio.register
async def start(event: tukio.Event) -> None:
    """Lead to both branches."""


@tukio.register
async def charge(event: tukio.Event) -> None:
    """Fail."""
    msg = "the card is expired"
    raise ValueError(msg)


@tukio.register
async def pack(event: tukio.Event) -> dict[str, bool]:
    """Take a while."""
    await anyio.sleep(0.2)
    return {"packed": True}


TEMPLATE = {
    "id": "order",
    "tasks": [{"id": uid, "name": uid} for uid in ("start", "charge", "pack")],
    "graph": {"start": ["charge", "pack"]},
}


async def main() -> None:
    """Run the workflow under each of the two policies for errors."""
    async with tukio.Engine() as engine:
        for on_error in ("continue", "abort"):
            run = await engine.start({**TEMPLATE, "on_error": on_error}, {})
            try:
                await run.wait(check=True)
            except tukio.WorkflowFailed as failed:
                # A group with the errors of all tasks; `run.errors` has them by task.
                print(f"{on_error}: {run.status}, {run.output}, {failed.exceptions}")


if __name__ == "__main__":
    # What a task raises is in the log as well, with its traceback: not on this screen.
    logging.getLogger("tukio").setLevel(logging.CRITICAL)
    anyio.run(main)
