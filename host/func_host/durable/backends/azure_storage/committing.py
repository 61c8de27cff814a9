"""Writes one step of an instance: history under its fence, messages, status, claim, in safe order.

What is sent is put before the row that records it, and after the messages that led to it; the
status comes after the history; what was consumed is deleted last. A crash between any two of these
leaves something that whoever takes over can go on from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from func_host.durable.backend import MessageId, StaleCommitError
from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage import entity_batches
from func_host.durable.backends.azure_storage.appending import HistoryWriting
from func_host.durable.backends.azure_storage.claims import ClaimPlan, ClaimStep, plan_claim
from func_host.durable.backends.azure_storage.client_errors import STORAGE_ERRORS
from func_host.durable.backends.azure_storage.entity_batches import EntityBatches
from func_host.durable.backends.azure_storage.inbox import Claim
from func_host.durable.backends.azure_storage.outbox import Outbox
from func_host.durable.backends.azure_storage.withholding import (
    after_last_message,
    before_sending,
    writable,
)
from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.history import (
    TaskCompleted,
    TaskFailed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_host.durable.backend import Commit
    from func_host.durable.backends.azure_storage.entity_memory import Unsent
    from func_host.durable.backends.azure_storage.hot_instances import HotInstance
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.outbox import Sent
    from func_host.durable.backends.azure_storage.tickets import Ticket
    from func_host.durable.history import HistoryEvent

_PUTS_AT_ONCE: Final = 16
_UNCONFIRMED_MAX: Final = 200
_RESULTS = (TaskCompleted, TaskFailed)


@dataclass(slots=True)
class _Step:
    """A commit on its way."""

    commit: Commit
    hot: HotInstance
    writing: HistoryWriting
    unwritten: list[HistoryEvent]
    is_left_open: bool
    sends: Sequence[Unsent] = ()

    @property
    def is_of_entity(self) -> bool:
        return is_entity(self.commit.instance_id)

    @property
    def is_new_run(self) -> bool:
        return self.writing.is_new_run


class Committer:
    """Writes commits to a hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._outbox = Outbox(hub)
        self.batches = EntityBatches(hub, self._outbox)

    async def commit(self, commit: Commit) -> None:
        """Write one step; the caller lets nobody else change the instance meanwhile.

        Raises:
            StaleCommitError: What is stored is not what the fence says.
        """
        hub, instance_id = self._hub, commit.instance_id
        hot = await hub.instance(instance_id)
        if hot is None:
            raise rules.no_longer_stored(instance_id)
        await hub.with_history(instance_id, hot)
        hub.check_owned(instance_id)
        self._check_fence(commit, hot)
        step = self._begin(commit, hot)
        if step.is_of_entity:
            step.sends = await self.batches.prepare(commit, hot)
        claim = self._plan_claim(step)
        new_claim = await self._put_claim(commit, claim, is_guard=self._needs_guard(step))
        try:
            sent = await self._write(step)
        except BaseException as error:
            hub.known.drop(instance_id)  # what is stored decides
            if new_claim is not None and isinstance(error, StaleCommitError):
                await hub.queues.delete(new_claim)
            raise
        try:
            if step.is_of_entity:
                sent = await self._send_batch(step)
            await self._write_status(step)
            await self._check_still_ours(step, sent)
            await self._settle(step, claim, new_claim)
        except STORAGE_ERRORS:
            hub.has_unwritten.set()  # the step is stored: whoever reads the status must see it
            await self._outbox.deliver(sent)  # what is sent is stored, whatever else is not
            raise
        await self._outbox.deliver(sent)

    # History and messages

    async def _send_batch(self, step: _Step) -> list[Sent]:
        """Put what the batch of an entity sends; what is not put is read again with the entity."""
        instance_id = step.commit.instance_id
        try:
            return await self.batches.send(step.hot, step.sends, instance_id)
        except BaseException:
            self._hub.known.drop(instance_id)
            raise

    def _check_fence(self, commit: Commit, hot: HotInstance) -> None:
        rules.check_fence(commit, hot.head)
        if commit.fence.epoch != self._hub.ownership.epoch(commit.instance_id):
            raise StaleCommitError(
                f"The instance '{commit.instance_id}' was another host's for a while."
            )

        is_held = self._hub.inbox.is_held
        if not self._hub.ownership.serves(commit.instance_id) and not all(
            is_held(commit.instance_id, one) for one in commit.consumed
        ):
            raise StaleCommitError(
                f"The instance '{commit.instance_id}' has been handed over with its messages."
            )

    async def _check_still_ours(self, step: _Step, sent: Sequence[Sent]) -> None:
        """Stop where the partition was lost meanwhile: nothing is held of the instance any more.

        Raises:
            StaleCommitError: It was; the step is stored, and whoever has it now goes on from there.
        """
        commit, hub = step.commit, self._hub
        is_ours = hub.ownership.owns(commit.instance_id)
        if is_ours and commit.fence.epoch == hub.ownership.epoch(commit.instance_id):
            return
        await self._outbox.deliver(sent)
        raise StaleCommitError(f"The instance '{commit.instance_id}' was lost during a commit.")

    def _begin(self, commit: Commit, hot: HotInstance) -> _Step:
        by_event = {
            id(message.event): identity
            for message in self._hub.inbox.of(commit.instance_id)
            if message.id in commit.consumed
            and (identity := self._hub.inbox.identity_of(message.id)) is not None
        }
        message_ids = {
            id(event): by_event[id(event)] for event in commit.events if id(event) in by_event
        }
        is_of_entity = is_entity(commit.instance_id)
        if not is_of_entity:
            self._note_unrecorded(commit, hot)
        start = commit.started
        execution_id = hot.record.execution_id
        is_continued = False
        unwritten = [*hot.withheld, *commit.events]
        if start is not None:
            unwritten = list(commit.events)
            is_same = start.orchestration_instance.execution_id == execution_id
            # An entity begins with its first batch as with any other.
            is_continued = not is_same and (bool(hot.stored) or is_of_entity)
            execution_id = start.orchestration_instance.execution_id
            hot.carried = set()
        hot.carried -= {
            event.task_scheduled_id for event in commit.events if isinstance(event, _RESULTS)
        }
        writing = HistoryWriting(
            instance_id=commit.instance_id,
            execution_id=execution_id,
            message_ids=message_ids,
            is_continued=is_continued,
            is_new_run=start is not None,
        )
        # Of what is in flight, some is carried by messages: only the rest needs this process.
        is_left_open = commit.open_activities > len(hot.carried)
        if is_of_entity:
            is_left_open = entity_batches.is_left_open(commit)
        return _Step(commit, hot, writing, unwritten, is_left_open)

    def _note_unrecorded(self, commit: Commit, hot: HotInstance) -> None:
        """Keep in mind what is consumed for whatever run is current, and has no row.

        Such is what a run has consumed before another one followed it: if it comes again, because
        it could not be deleted, that other run must not take it.
        """
        recorded = {id(event) for event in commit.events}
        inbox = self._hub.inbox
        unrecorded = [
            identity
            for message in inbox.of(commit.instance_id)
            if message.id in commit.consumed
            and message.execution_id is None
            and id(message.event) not in recorded
            and (identity := inbox.identity_of(message.id)) is not None
        ]
        if unrecorded:
            hot.unconfirmed = (*hot.unconfirmed, *unrecorded)[-_UNCONFIRMED_MAX:]
            hot.consumed_ids.update(unrecorded)

    async def _write(self, step: _Step) -> list[Sent]:
        """Write the history; give what was sent."""
        commit = step.commit
        if step.is_of_entity:
            await self.batches.write(commit, step.hot, step.writing, step.sends)
            return []
        outbox = await self._outbox.deliverable(commit)
        cut = after_last_message(step.unwritten) if outbox else 0
        if cut:
            before, after = before_sending(step.unwritten, cut)
            await self._append(step, before, is_ended=False)
            step.unwritten = [*step.writing.withheld, *after]
        sent = await self._outbox.send(commit, outbox)
        is_ended = commit.status.runtime_status.is_terminal
        await self._append(step, step.unwritten, is_ended=is_ended)
        return sent

    async def _append(self, step: _Step, events: Sequence[HistoryEvent], *, is_ended: bool) -> None:
        parts = writable(events, is_ended=is_ended, carried=step.hot.carried)
        if parts.is_only_a_start and self._is_told_by_start(step):
            step.writing.withheld = list(events)
            return
        await step.writing.append(
            self._hub, step.hot, events, is_ended=is_ended, is_left_open=step.is_left_open
        )

    def _is_told_by_start(self, step: _Step) -> bool:
        """Tell whether the start message alone says all that is to be written: it stays a claim."""
        consumed = step.commit.consumed
        return (
            step.is_new_run
            and not step.writing.is_continued
            and not step.writing.is_written
            and not step.commit.outbox
            and len(consumed) == 1
            and any(
                message.id == consumed[0] and message.event is step.commit.started
                for message in self._hub.inbox.of(step.commit.instance_id)
                if self._hub.inbox.ticket_of(message.id) is not None
            )
        )

    # Status

    async def _write_status(self, step: _Step) -> None:
        """Know the instance as it is now; write its row at once where somebody may need it."""
        commit, hot = step.commit, step.hot
        record, before = hot.record, hot.row
        if step.is_new_run:
            assert commit.started is not None
            record = rules.new_record(commit.started)
            hot.stored = []
            if not step.writing.is_written:
                hot.next_ordinal = 0
        hot.stored += step.writing.stored
        in_flight = hot.inline
        hot.withheld = step.writing.withheld
        hot.withheld_since = self._withheld_since(hot, in_flight)
        hot.record = replace(
            record,
            runtime_status=commit.status.runtime_status,
            last_updated_time=commit.status.last_updated_time,
            custom_status=commit.status.custom_status,
            output=commit.status.output,
            parked=commit.status.parked,
        )
        hot.seen = self._hub.clock.monotonic()
        if not step.is_of_entity:
            hot.consumed_ids.update(step.writing.message_ids.values())
        is_waiting = not hot.inline
        is_urgent = (
            hot.is_ended
            or hot.is_misleading
            or (is_waiting and hot.record.runtime_status is not before.runtime_status)
        )
        if is_urgent:
            begins = step.is_new_run and (
                hot.record.execution_id != before.execution_id
                or hot.record.created_time != before.created_time
            )
            start = commit.started if begins else None
            await self._hub.write_status(commit.instance_id, hot, start=start)
        elif hot.record.runtime_status is not before.runtime_status:
            self._hub.has_unwritten.set()

    def _withheld_since(self, hot: HotInstance, before: set[int]) -> float | None:
        """Tell since when something is withheld; another activity than before begins anew."""
        if not hot.inline:
            return None
        if hot.withheld_since is None or hot.inline.isdisjoint(before):
            return self._hub.pacing.monotonic()
        return hot.withheld_since

    # Claims

    def _plan_claim(self, step: _Step) -> ClaimStep:
        inbox, commit = self._hub.inbox, step.commit
        in_queues = [
            message
            for message in inbox.of(commit.instance_id)
            if message.id in commit.consumed and inbox.ticket_of(message.id) is not None
        ]
        claim = inbox.claim_of(commit.instance_id)
        return plan_claim(commit, claim, in_queues, is_open=step.is_left_open)

    def _needs_guard(self, step: _Step) -> bool:
        """Tell whether nothing would come again if the process died before it has sent all."""
        inbox, commit = self._hub.inbox, step.commit
        return (
            bool(step.sends)
            and inbox.claim_of(commit.instance_id) is None
            and all(inbox.ticket_of(one) is None for one in commit.consumed)
        )

    async def _put_claim(
        self, commit: Commit, step: ClaimStep, *, is_guard: bool = False
    ) -> Ticket | None:
        if step.plan is not ClaimPlan.PUT and not is_guard:
            return None
        hub = self._hub
        envelope = hub.wake_up(commit.instance_id)
        hub.check_owned(commit.instance_id)
        return await hub.queues.put(envelope, invisible_s=hub.settings.visibility_s)

    async def _settle(self, step: _Step, claim: ClaimStep, new_claim: Ticket | None) -> None:
        """Let go of what was consumed, but for the claim."""
        hub, commit = self._hub, step.commit
        instance_id = commit.instance_id
        removed = hub.inbox.remove(instance_id, commit.consumed)
        gone = {one.message.id: one.ticket for one in removed if one.ticket is not None}
        await self._settle_claim(instance_id, claim, new_claim, gone)
        hub.inbox.set_open(instance_id, is_open=claim.plan is not ClaimPlan.RELEASE)
        hub.dispatcher.consumed(instance_id, commit.consumed)
        for timer in self._cancelled(commit):
            (cancelled,) = hub.inbox.remove(instance_id, (timer,))
            hub.dispatcher.consumed(instance_id, (timer,))
            if cancelled.ticket is not None:
                gone[timer] = cancelled.ticket
        if step.is_new_run:
            self._drop_other_runs(step, gone)
        await hub.delete(gone.values())
        step.hot.unconfirmed = ()
        if step.is_of_entity:
            await self.batches.forget_before(step.hot)
        if commit.status.runtime_status.is_terminal:
            await hub.drop_messages(instance_id, but_starts_of_others=True)
            kept = {message.id for message in hub.inbox.of(instance_id)}
            hub.dispatcher.forget(instance_id, keep=kept)

    async def _settle_claim(
        self,
        instance_id: str,
        claim: ClaimStep,
        new_claim: Ticket | None,
        gone: dict[MessageId, Ticket],
    ) -> None:
        """Hold what is the claim from now on; what was it is gone."""
        hub = self._hub
        if claim.plan is ClaimPlan.PUT and new_claim is not None:
            self._replace_claim(instance_id, Claim(new_claim, is_generic=True), gone)
        elif claim.message_id is not None:
            ticket = gone.pop(claim.message_id)
            is_generic = claim.plan is ClaimPlan.REWRITE
            if is_generic:
                wake_up = hub.wake_up(instance_id)
                visibility_s = hub.settings.visibility_s
                if not await hub.queues.hide(ticket, invisible_s=visibility_s, content=wake_up):
                    ticket = await hub.queues.put(wake_up, invisible_s=visibility_s)
            self._replace_claim(instance_id, Claim(ticket, is_generic), gone)
        elif claim.plan is ClaimPlan.RELEASE:
            old = hub.inbox.unclaim(instance_id)
            if old is not None:
                gone[_NO_ID] = old.ticket
            if new_claim is not None:
                gone[_GUARD] = new_claim

    def _replace_claim(self, instance_id: str, claim: Claim, gone: dict[MessageId, Ticket]) -> None:
        old = self._hub.inbox.unclaim(instance_id)
        if old is not None:
            gone[_NO_ID] = old.ticket
        self._hub.inbox.claim(instance_id, claim)

    def _cancelled(self, commit: Commit) -> list[MessageId]:
        return [
            message.id
            for message in self._hub.inbox.of(commit.instance_id)
            if commit.cancelled_timers and rules.timer_of(message.event) in commit.cancelled_timers
        ]

    def _drop_other_runs(self, step: _Step, gone: dict[MessageId, Ticket]) -> None:
        hub, instance_id = self._hub, step.commit.instance_id
        current = step.hot.record.execution_id
        others = [
            message.id
            for message in hub.inbox.of(instance_id)
            if message.execution_id not in {None, current}
            and rules.started_execution(message.event) is None
        ]
        for one in hub.inbox.remove(instance_id, others):
            if one.ticket is not None:
                gone[one.message.id] = one.ticket
        hub.dispatcher.consumed(instance_id, others)


_NO_ID: Final = MessageId(-1)
_GUARD: Final = MessageId(-2)
