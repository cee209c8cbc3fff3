"""Feedback webhooks: where events of a workspace go, and sending what waits. The one command that posts anything."""

from collections.abc import Mapping
from typing import Annotated

import httpx
import typer

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.feedback.pseudonyms import key_path
from assay.feedback.webhooks import deliver as deliver_
from assay.feedback.webhooks import open_webhook, open_webhooks, secret_of
from assay.web.security import signing_key

TIMEOUT_S = 10.0


def webhook(
    name: Annotated[str, typer.Argument(help="What to call the receiver.")],
    url: Annotated[str, typer.Option(help="https, or http on this machine.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    close: Annotated[bool, typer.Option("--close", help="Send it nothing more.")] = False,
) -> None:
    """Say where events go, or stop sending them there; prints the secret that signs them."""
    space = open_workspace(workspace)
    hook = open_webhook(space.records, name, url, now=now(), is_closed=close)
    space.close()
    if not close:
        console.print(f"secret {secret_of(hook, signing_key(key_path(workspace)))}", markup=False)
    made("webhook", hook.id, next_command=f"assay feedback deliver --workspace {workspace}")


def deliver(workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Post what happened since the last time to every webhook; run it by a timer. Exits with 1 where one refuses."""
    space = open_workspace(workspace)
    key, is_done = signing_key(key_path(workspace)), True
    for hook in open_webhooks(space.records):
        sent = deliver_(space.records, hook, _post, key=key, now=now())
        told = f", {sent.waiting} wait: status {sent.status or 'none'}" if sent.waiting else ""
        console.print(f"{hook.name}: {sent.taken} events taken{told}", markup=False)
        is_done = is_done and not sent.waiting
    space.close()
    if not is_done:
        raise typer.Exit(1)


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    try:
        return httpx.post(url, content=body, headers=dict(headers), timeout=TIMEOUT_S).status_code
    except httpx.HTTPError:
        return 0
