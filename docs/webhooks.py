"""`python docs/webhooks.py > docs/webhooks.md`: the page about webhooks, its table of events from the code."""

from __future__ import annotations

from registry_tui.contracts.counts import counted
from registry_tui.service.loops import webhooks as loop
from registry_tui.service.webhooks import deliveries, rights, sending, subscriptions

_HEAD = """\
# Webhooks

A webhook sends the events of an environment to another program, in messages signed according to
[Standard Webhooks](https://www.standardwebhooks.com). The environment's administrators create and monitor webhooks;
owners of models do so for their models:

```sh
registry-tui webhooks create ci https://ci.example.com/hook --environment local --event 'version.*'
registry-tui webhooks test ci
registry-tui webhooks deliveries ci --state failed
registry-tui webhooks replay ci --since 2h
registry-tui webhooks rotate-secret ci --yes
registry-tui webhooks create wine https://ci.example.com/hook --model WineModel    # by its owner
registry-tui webhooks list --model WineModel                                       # the webhooks of a model
```

An owner's webhook gets the events of one model only. Owners see the webhooks that they created, at most {rights.MOST}
in each environment. In the terminal program they also create them on the model's page (`ctrl+w`). If another person
becomes the owner of the model, the webhook is paused with this reason; its creator can still see and delete it.

The host has to be in the setting `webhook_hosts` (`*.example.com`), and its addresses have to be public;
for a host in `webhook_private_hosts` private addresses are permitted, too. This applies to every creator. The
service connects to the address that it checked. It does not follow redirects, and does not use proxies.

A message is `{"type": …, "timestamp": …, "data": …}`. `data` has `event`, `action`, `outcome`, `actor`, `resource`
(`type`, `id`, `name`), `registry`, `model`, `workflow`, `detail`, and `version` if the event is about a version.
The receiver checks it with any library of Standard Webhooks:

```python
from standardwebhooks import Webhook

message = Webhook(secret).verify(body, headers)
```

Events that the webhook's creator may not see at the time of sending are not sent: the delivery is skipped, with this
reason. If the creator is deleted or suspended, or loses the permission, the webhook is paused; the person who resumes
it becomes its creator. So does a person who changes its address, except the administrator.

## Events

| type | when |
|---|---|
"""


def main() -> None:
    """Prints the page."""
    rows = dict([*deliveries.TYPES.values(), *deliveries.WORKFLOWS.values(), (deliveries.TEST, "A test was requested")])
    pauses = ", ".join(f"{each // 3600} h" if each >= 3600 else f"{each} s" for each in loop.PAUSES)
    print(
        _HEAD.replace("{rights.MOST}", str(rights.MOST))
        + "\n".join(f"| `{name}` | {when} |" for name, when in rows.items())
    )
    print(
        f"""
## Attempts

A message is delivered by a response of 200 to 299 within {sending.WHOLE:.0f} seconds. Otherwise it is sent again after
{pauses}, each up to a tenth longer or shorter, always with the same `webhook-id`. A message may
arrive twice, and a message that failed arrives after later ones. `Retry-After` is honoured
up to {sending.LONGEST_REST / 60:.0f} minutes.
A webhook is paused by a response of 410, and when {counted(loop.GIVES_UP, "attempt")} in a row failed
over {loop.GIVES_UP_AFTER.total_seconds() / 3600:.0f} hours, with an event `webhook.pause`, which the
environment's other webhooks get as `webhook.paused`.
Messages about later events wait until it is resumed.

Deliveries are kept for {deliveries.KEPT_FOR.days} days, {deliveries.KEPT:,} finished and
{deliveries.KEPT:,} waiting ones at most for each webhook,
with the first {sending.ANSWER:,} bytes of each response. After a rotation, messages are signed with both secrets for
{subscriptions.OVERLAP.total_seconds() / 3600:.0f} hours."""
    )


if __name__ == "__main__":
    main()
