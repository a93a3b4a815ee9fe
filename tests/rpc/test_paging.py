"""Pages: complete, in order, and bound to their query."""

import base64

import pytest
from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import job_pb2, model_service_pb2

from service.domain.view import JobView
from service.rpc.identity import Caller, Role
from tests.rpc import samples
from tests.rpc.rig import Rig, opened, refused


def views(count: int, project: str = "default") -> list[JobView]:
    """Jobs of which every two share a time."""
    return [
        samples.done_view(id=f"{project}-{index:04}", project=project, accepted_at=samples.T0 + index // 2)
        for index in range(count)
    ]


async def pages(rig: Rig, request: pb.ListJobsRequest) -> list[list[str]]:
    """The ids of every page, to the last one."""
    found = []
    while True:
        page = await rig.images.ListJobs(request, timeout=5)
        found.append([one.job_id for one in page.jobs])
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


@pytest.mark.parametrize(("order", "newest_first"), [(0, True), (1, True), (2, False)])
async def test_pages_together_are_the_whole_list(rig: Rig, order: int, newest_first: bool) -> None:
    """No row is skipped or repeated, and the last page has no token, also when it is full."""
    rig.jobs.views = views(6) + views(3, "other")
    found = await pages(rig, pb.ListJobsRequest(page_size=2, order=order))
    expected = sorted((one.job.id for one in rig.jobs.views[:6]), reverse=newest_first)
    assert [2, 2, 2] == [len(page) for page in found]
    assert expected == [one for page in found for one in page]


async def test_the_page_size_has_a_default_and_a_limit(rig: Rig) -> None:
    """0 is 50; more than 500 is refused."""
    rig.jobs.views = views(60)
    assert [50, 10] == [len(page) for page in await pages(rig, pb.ListJobsRequest())]
    for page_size in (-1, 501):
        answer = await refused(rig.images.ListJobs(pb.ListJobsRequest(page_size=page_size), timeout=5))
        assert ("ERROR_REASON_FIELD_INVALID", ["page_size"]) == (answer.reason, answer.fields)


async def test_the_page_size_may_change_between_pages(rig: Rig) -> None:
    """It says how much to send, not what was asked."""
    rig.jobs.views = views(6)
    first = await rig.images.ListJobs(pb.ListJobsRequest(page_size=2), timeout=5)
    rest = await rig.images.ListJobs(
        pb.ListJobsRequest(page_size=10, page_token=first.next_page_token), timeout=5
    )
    assert 4 == len(rest.jobs)


async def test_a_token_fits_its_own_query_and_project_only(rig: Rig) -> None:
    """Another filter, order, view or project, damage and nonsense are all refused."""
    rig.jobs.views = views(6)
    token = (await rig.images.ListJobs(pb.ListJobsRequest(page_size=2), timeout=5)).next_page_token
    bound = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    forged = [bound.replace(b"default-0004", b"4"), bound[:-1] + b",1]", b"[" * 4_000, b"null", b'["x"]']
    wrong = [
        pb.ListJobsRequest(page_token=token, order=pb.JOB_ORDER_OLDEST_FIRST),
        pb.ListJobsRequest(page_token=token, filter=pb.JobFilter(models=["flux-dev"])),
        pb.ListJobsRequest(page_token=token, view=pb.JOB_VIEW_FULL),
        pb.ListJobsRequest(page_token=token[:-3]),
        pb.ListJobsRequest(page_token="no token!"),
        pb.ListJobsRequest(page_token="é"),
        pb.ListJobsRequest(page_token="A" * 5_000),
        *[pb.ListJobsRequest(page_token=base64.urlsafe_b64encode(one).decode()) for one in forged[1:]],
    ]
    calls = [(one, ()) for one in wrong]
    calls.append((pb.ListJobsRequest(page_token=token), (("lightmeter-project", "other"),)))
    for request, metadata in calls:
        answer = await refused(rig.images.ListJobs(request, metadata=metadata, timeout=5))
        assert ("INVALID_ARGUMENT", "ERROR_REASON_PAGE_TOKEN_INVALID") == (answer.code, answer.reason)


async def test_every_filter_reaches_the_reader(rig: Rig) -> None:
    """Each field of JobFilter becomes its field of the query."""
    message = pb.JobFilter(
        states=[job_pb2.JOB_STATE_FAILED],
        operations=[2],
        models=["flux-dev"],
        providers=["fal"],
        origins=[job_pb2.ORIGIN_CACHE],
        failure_reasons=[38],
        settlements=[4],
        labels={"team": "growth"},
        fingerprint="ab" * 32,
        asset_sha256="cd" * 32,
    )
    message.create_time_from.FromMicroseconds(samples.T0)
    message.create_time_before.FromMicroseconds(samples.T0 + 1)
    await rig.images.ListJobs(pb.ListJobsRequest(filter=message), timeout=5)
    [query] = rig.jobs.asked
    assert (("FAILED",), ("EDIT",), ("flux-dev",), ("fal",), ("CACHE",)) == (
        query.states, query.operations, query.models, query.providers, query.origins,
    )  # fmt: skip
    assert (("PROVIDER_FAILED",), ("UNCONFIRMED",)) == (query.failure_reasons, query.settlements)
    assert ((("team", "growth"),), "ab" * 32, "cd" * 32) == (
        query.labels,
        query.fingerprint,
        query.asset_sha256,
    )
    assert (samples.T0, samples.T0 + 1, True) == (
        query.accepted_from,
        query.accepted_before,
        query.newest_first,
    )


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (pb.JobFilter(states=[0]), "filter.states[0]"),
        (pb.JobFilter(states=[1, 99]), "filter.states[1]"),
        (pb.JobFilter(failure_reasons=[0]), "filter.failure_reasons[0]"),
        (pb.JobFilter(settlements=[9]), "filter.settlements"),
        (pb.JobFilter(models=["m"] * 51), "filter.models"),
        (pb.JobFilter(models=[""]), "filter.models[0]"),
        (pb.JobFilter(fingerprint="x"), "filter.fingerprint"),
        (pb.JobFilter(asset_sha256="AB" * 32), "filter.asset_sha256"),
        (pb.JobFilter(labels={"": "x"}), "filter.labels[]"),
        (pb.JobFilter(project="No!"), "filter.project"),
    ],
)
async def test_a_wrong_filter_is_named(rig: Rig, message: pb.JobFilter, field: str) -> None:
    """A filter that could match nothing by mistake is refused."""
    answer = await refused(rig.images.ListJobs(pb.ListJobsRequest(filter=message), timeout=5))
    assert ("ERROR_REASON_FIELD_INVALID", [field]) == (answer.reason, answer.fields)
    assert [] == rig.jobs.asked


async def test_an_admin_may_list_another_project_and_nobody_else_may() -> None:
    """Empty is the own project; another one takes the role."""

    class Ordinary:
        def identify(self, context: object) -> Caller:
            return Caller("default", Role.CALLER)

    request = pb.ListJobsRequest(filter=pb.JobFilter(project="other"))
    async with opened() as rig:
        rig.jobs.views = views(1) + views(2, "other")
        assert 2 == len((await rig.images.ListJobs(request, timeout=5)).jobs)
        assert 1 == len((await rig.images.ListJobs(pb.ListJobsRequest(), timeout=5)).jobs)
    async with opened(callers=Ordinary()) as rig:
        answer = await refused(rig.images.ListJobs(request, timeout=5))
        assert ("PERMISSION_DENIED", "ERROR_REASON_ROLE_INSUFFICIENT") == (answer.code, answer.reason)
        assert {"requiredRole": "ADMIN"} == answer.metadata


async def test_models_are_paged_by_name(rig: Rig) -> None:
    """The pages of models together are the catalog, in order."""
    names, request = [], model_service_pb2.ListModelsRequest(page_size=3)
    while True:
        page = await rig.models.ListModels(request, timeout=5)
        names += [one.name for one in page.models]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert names == sorted(names)
    assert {"flux-1.1-pro", "gpt-image-2"} < set(names)
