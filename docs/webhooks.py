"""`python docs/webhooks.py > docs/webhooks.md`: the page about webhooks, its table of events from the code."""

from __future__ import annotations

from registry_tui.contracts.counts import counted
from registry_tui.service.loops import webhooks as loop
from registry_tui.service.webhooks import deliveries, rights, sending, subscriptions

_HEAD = """\
# Webhooks

A webhook tells another program of what happens in an environment, by messages signed as
[Standard Webhooks](https://www.standardwebhooks.com) says. The environment's administrators make and watch them;
owners of models do so for these models:

```sh
registry-tui webhooks create ci https://ci.example.com/hook --environment local --event 'version.*'
registry-tui webhooks test ci
registry-tui webhooks deliveries ci --state failed
registry-tui webhooks replay ci --since 2h
registry-tui webhooks rotate-secret ci --yes
registry-tui webhooks create wine https://ci.example.com/hook --model WineModel    # by its owner
registry-tui webhooks list --model WineModel                                       # what hears of it
```

An owner's webhook hears of one model only. Owners see those that they made, {rights.MOST} in an environment at most.
In the terminal program they are made on the model's page (`ctrl+w`), too. When another person owns the model, the
webhook is paused and says so; who made it can still look at it and delete it.

The host has to be in the setting `webhook_hosts` (`*.example.com`), and its addresses have to be public;
for a host in `webhook_private_hosts` private addresses are permitted, too. That holds whoever makes the webhook. The
address that was looked at is the one that is connected to. Redirections are not followed, and proxies are not used.

A message is `{"type": …, "timestamp": …, "data": …}`. `data` has `event`, `action`, `outcome`, `actor`, `resource`
(`type`, `id`, `name`), `registry`, `model`, `workflow`, `detail`, and `version` where it is about one.
The receiver checks it with any library of Standard Webhooks:

```python
from standardwebhooks import Webhook

message = Webhook(secret).verify(body, headers)
```

A message tells nothing that the webhook's creator may not see when it is sent: such a delivery is skipped, and says so.
When the creator is gone, suspended, or may not have it any more, the webhook is paused; whoever resumes it then
is its creator. So is whoever gives it another address, but for the administrator.

## Events

| type | when |
|---|---|
"""


def main() -> None:
    """Prints the page."""
    rows = dict(
        [*deliveries.TYPES.values(), *deliveries.WORKFLOWS.values(), (deliveries.TEST, "Somebody asked for it")]
    )
    pauses = ", ".join(f"{each // 3600} h" if each >= 3600 else f"{each} s" for each in loop.PAUSES)
    print(
        _HEAD.replace("{rights.MOST}", str(rights.MOST))
        + "\n".join(f"| `{name}` | {when} |" for name, when in rows.items())
    )
    print(
        f"""
## Attempts

An answer of 200 to 299 within {sending.WHOLE:.0f} seconds takes a message. Otherwise it is sent again after
{pauses}, each a tenth longer or shorter, always with the same `webhook-id`; a message may
arrive twice, and one that failed arrives after later ones. `Retry-After` is honoured
up to {sending.LONGEST_REST / 60:.0f} minutes.
A webhook is paused by an answer of 410, and when {counted(loop.GIVES_UP, "attempt")} in a row failed
over {loop.GIVES_UP_AFTER.total_seconds() / 3600:.0f} hours, with an event `webhook.pause`, which the
environment's other webhooks are told of as `webhook.paused`.
What happens meanwhile waits until it is resumed.

Deliveries are kept for {deliveries.KEPT_FOR.days} days, {deliveries.KEPT:,} finished and
{deliveries.KEPT:,} waiting ones at most for each webhook,
with the first {sending.ANSWER:,} bytes of each answer. After a rotation messages are signed with both secrets for
{subscriptions.OVERLAP.total_seconds() / 3600:.0f} hours."""
    )


if __name__ == "__main__":
    main()
