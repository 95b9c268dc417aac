"""Opens the command box over the place in view, and runs the choice."""

from __future__ import annotations

from collections.abc import Sequence

from registry_tui.screens.base.command_box import CommandBox
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.base.offers import Known, Offer, offers_of_visits
from registry_tui.terminal.action import key_shown
from registry_tui.terminal.actions import MOVES
from registry_tui.terminal.recent import Visit


def open_command_box(frame: FrameScreen, visits: Sequence[Visit]) -> None:
    """Opens the box; keys typed directly after its own key go to it."""
    program = frame.program
    here, elsewhere = possible_actions(frame)
    known = Known(
        actions=here,
        moves=elsewhere,
        visits=offers_of_visits(visit for visit in visits if visit.place != frame.place),
        themes=program.preferences.theme_names,
    )

    def chosen(answer: tuple[Offer, str] | None) -> None:
        if answer is None:
            return
        offer, line = answer
        program.remember_command(line)
        if offer.action:
            frame.action_act(offer.action)
        elif offer.place is not None:
            program.jump(offer.place)
        else:
            program.obey(offer.line)

    program.hold_keys()
    frame.app.push_screen(CommandBox(known, program.commands_given), chosen)


def possible_actions(frame: FrameScreen) -> tuple[list[Offer], list[Offer]]:
    """The actions possible on a page now, by the words of its Actions menu; and those that work everywhere or only
    move."""
    plain = frame.program.preferences.terminal.plain
    own = {action.id for action in frame.ACTIONS}
    here: list[Offer] = []
    elsewhere: list[Offer] = []
    for action in frame.all_actions():
        if action.id != "command" and frame.reason(action.id) is None:
            key = key_shown(action.key, plain=plain)
            offer = Offer("action", action.menu_word, action.help, key, action=action.id)
            (here if action.id in own and action.id not in MOVES else elsewhere).append(offer)
    return here, elsewhere
