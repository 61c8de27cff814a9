"""Conformance: what clients see of instances."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from func_host.durable.backend import InstanceQuery
from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.world import Status, World


class QueryConformance(ConformanceBase):
    """`get_instance`, `get_history`, `query_instances`, `summary`."""

    async def test_nothing_is_known_of_nobody(self, world: World) -> None:
        """Not an error."""
        assert await world.backend.get_instance("nobody") is None
        assert await world.backend.load("nobody") is None
        assert list(await world.backend.get_history("nobody")) == []
        assert await world.all_ids() == []
        assert (await world.backend.summary()).unfinished == 0

    async def test_an_input_is_left_out_where_asked(self, world: World) -> None:
        """In a status row and in a list."""
        await world.create("one", input='"x"')
        record = await world.backend.get_instance("one", fetch_input=False)
        assert record is not None
        assert record.input is None
        page = await world.backend.query_instances(InstanceQuery(fetch_input=False))
        assert [record.input for record in page.instances] == [None]

    async def test_a_list_holds_whole_rows(self, world: World) -> None:
        """The same as one by one."""
        await world.begin_and_end("two", output='"y"')
        run = await world.begin("three")
        await run.commit(run.plan(custom_status='"z"', parked="why"))
        await world.create("one", input='"x"')

        page = await world.backend.query_instances(InstanceQuery())
        assert list(page.instances) == [
            await world.status_of(name) for name in ("one", "three", "two")
        ]

    @pytest.mark.parametrize("page_size", [1, 3, 5, 10, 11])
    async def test_pages_give_each_instance_once(self, world: World, page_size: int) -> None:
        """In order of ids, as the features say; the last page says that it is the last."""
        ids = ["B", "a", "b", "b-1", "b0", "ba", "é", "ż", "\uffee", "🚀"]
        if world.backend.features.sorts_by_utf16:
            ids.sort(key=lambda instance_id: instance_id.encode("utf-16-be"))
        for instance_id in reversed(ids):
            await world.create(instance_id)
        found: list[str] = []
        token: str | None = None
        pages = 0
        while pages == 0 or token is not None:
            query = InstanceQuery(page_size=page_size, continuation_token=token)
            page = await world.backend.query_instances(query)
            assert len(page.instances) <= page_size
            found += [record.instance_id for record in page.instances]
            token = page.continuation_token
            pages += 1

        assert found == ids
        assert pages == -(-len(ids) // page_size)

    async def test_a_page_goes_on_where_the_last_one_ended(self, world: World) -> None:
        """Whatever was created, or purged, in between."""
        for instance_id in ("b", "d", "f"):
            await world.begin_and_end(instance_id)
        first = await world.backend.query_instances(InstanceQuery(page_size=2))
        await world.backend.purge_instance("d")
        await world.create("a")
        await world.create("e")

        rest = InstanceQuery(page_size=2, continuation_token=first.continuation_token)
        assert await world.all_ids(rest) == ["e", "f"]

    @pytest.mark.parametrize("token", ["", "nonsense", "%%%", "bm9uc2Vuc2U=", "ż"])
    async def test_a_token_of_others_is_refused(self, world: World, token: str) -> None:
        """As a mistake of the caller."""
        await world.create("one")
        with pytest.raises(ValueError, match="token"):
            await world.backend.query_instances(InstanceQuery(continuation_token=token))

    async def test_times_are_inclusive(self, world: World) -> None:
        """At both ends, to the microsecond."""
        moments: list[datetime] = []
        for number in range(4):
            moments.append(world.clock.now())
            await world.create(str(number))
            await world.clock.advance(timedelta(microseconds=1))

        query = InstanceQuery(created_time_from=moments[1])
        assert await world.all_ids(query) == ["1", "2", "3"]
        query = InstanceQuery(created_time_to=moments[2])
        assert await world.all_ids(query) == ["0", "1", "2"]
        query = InstanceQuery(created_time_from=moments[1], created_time_to=moments[2])
        assert await world.all_ids(query) == ["1", "2"]

    async def test_statuses_are_alternatives(self, world: World) -> None:
        """None is any, and no status at all matches nothing."""
        await world.begin_and_end("completed")
        await (await world.begin("failed")).end(Status.Failed)
        await world.begin("running")
        await world.create("pending")

        query = InstanceQuery(runtime_status=(Status.Pending, Status.Failed))
        assert await world.all_ids(query) == ["failed", "pending"]
        assert await world.all_ids(InstanceQuery(runtime_status=())) == []
        assert len(await world.all_ids(InstanceQuery(runtime_status=None))) == 4

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("", ["%a", "A", "_a", "a", "a%b", "a'b", "aXb", "a_b", "ab", "żab"]),
            ("a", ["a", "a%b", "a'b", "aXb", "a_b", "ab"]),
            ("A", ["A"]),
            ("a_", ["a_b"]),
            ("a%", ["a%b"]),
            ("%", ["%a"]),
            ("_", ["_a"]),
            ("a'", ["a'b"]),
            ("ż", ["żab"]),
            ("\U0010ffff", []),
            ("\ud7ff", []),
            ("aXbc", []),
        ],
    )
    async def test_a_prefix_is_taken_literally(
        self, world: World, prefix: str, expected: list[str]
    ) -> None:
        """Case counts, and no character is special."""
        for instance_id in ("a", "A", "ab", "a_b", "a%b", "a'b", "aXb", "_a", "%a", "żab"):
            await world.create(instance_id)
        assert await world.all_ids(InstanceQuery(instance_id_prefix=prefix)) == expected

    async def test_filters_and_pages_combine(self, world: World) -> None:
        """A page holds only what matches, and is filled."""
        for number in range(30):
            if number % 2:
                await world.begin_and_end(f"a{number:02}")
            else:
                await world.create(f"a{number:02}")
                await world.take()
        query = InstanceQuery(
            instance_id_prefix="a1", runtime_status=(Status.Completed,), page_size=3
        )
        first = await world.backend.query_instances(query)
        assert [record.instance_id for record in first.instances] == ["a11", "a13", "a15"]
        query = InstanceQuery(
            instance_id_prefix="a1",
            runtime_status=(Status.Completed,),
            page_size=3,
            continuation_token=first.continuation_token,
        )
        last = await world.backend.query_instances(query)
        assert [record.instance_id for record in last.instances] == ["a17", "a19"]
        assert last.continuation_token is None

    async def test_a_summary_counts_by_status(self, world: World) -> None:
        """All instances there are."""
        await world.begin_and_end("completed")
        await world.begin("running")
        await world.create("pending")
        await world.create("pending too")

        summary = await world.backend.summary()
        expected = {Status.Completed: 1, Status.Running: 1, Status.Pending: 2}
        assert dict(summary.instances) == expected
        assert summary.unfinished == 3
