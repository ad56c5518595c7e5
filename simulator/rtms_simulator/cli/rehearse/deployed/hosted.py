"""A rehearsed deployment that is kept running, with a control plane: to the other commands it is what `rtmskit up` starts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

from rtms_infra.rehearsal import stack_file
from rtms_simulator.cli.play.outcome import Failed
from rtms_simulator.cli.rehearse.local_cloud import LocalCloud, Surroundings
from rtms_simulator.cli.rehearse.program import Loaded, Program, ProgramRefused, project_root
from rtms_simulator.cli.rehearse.rehearsal import BROKEN, Tell, not_shown, without_emulator
from rtms_simulator.clock import Clock
from rtms_simulator.errors import ChildEndedError
from rtms_simulator.kit.control.all import control_server
from rtms_simulator.kit.control.fakes import Beginning, Fakes, Secrets
from rtms_simulator.kit.control.meetings import MeetingResource
from rtms_simulator.serving import firestore_emulator
from rtms_simulator.serving.authority import CertificateAuthority

LOOK_EVERY_S = 0.5


class Hosted:
    """A `kit.control.fakes.Place` over a cloud that has started. `clock` is Zoom's and Recall's; queues, schedule and alerts have
    Google's."""

    run_secret = ""
    """The worker is asked behind its door, where nobody needs a token."""

    ca_file: Path | None = None

    def __init__(self, cloud: LocalCloud, control_token: str = "") -> None:
        own = cloud.around.vendors
        client_id = cloud.role("worker").service_config.environment_variables.get("ZOOM_CLIENT_ID", "")
        self.secrets = Secrets(client_id, own.client_secret, own.secret_token, own.api_key, own.webhook_secret)
        self.clock, self.zoom, self.recall, self.tasks = cloud.vendors_clock, cloud.zoom, cloud.recall, cloud.tasks
        self.authority = CertificateAuthority.of_folder(cloud.around.folder)
        self.control_token = control_token
        self._cloud, self._real_time = cloud, Clock()
        self.fakes = Fakes(
            clock=self.clock,
            zoom=self.zoom,
            recall=self.recall,
            tasks=self.tasks,
            faults=cloud.faults,
            seed=lambda: self.zoom.seed,
            webhook_url=lambda: self.webhook_url,
            reset=self.forget,
            uploads=cloud.around.folder / "uploads",
        )
        self._beginning = Beginning(self.fakes)
        self._meetings = MeetingResource(self.fakes)
        self.control = control_server(self.fakes, self._meetings, token=control_token)

    async def start(self) -> None:
        await self.control.start()

    async def aclose(self) -> None:
        await self.control.aclose()
        await self._meetings.aclose()

    async def forget(self, seed: int | None = None) -> bool:
        """Meetings, recordings, tasks, faults and switches as they were at the start. True if the records went, too: they do with the
        emulator. `seed` makes the ids from now on; by default another than before where records stay."""
        emptied = bool(self._cloud.around.emulator)
        await self._beginning.restore(seed, records_stay=not emptied)
        self._cloud.create_queues()
        await self._cloud.clear_records()
        return emptied

    @property
    def webhook_url(self) -> str:
        return self._cloud.webhook_url

    @property
    def recall_webhook_url(self) -> str:
        return self._cloud.recall_webhook_url

    @property
    def worker_url(self) -> str:
        return self._cloud.services["worker"].url

    @property
    def state_url(self) -> str:
        return self._cloud.state_url

    @property
    def queues(self) -> tuple[str, ...]:
        return tuple(self.tasks.queues())

    @property
    def seed(self) -> int:
        return self._cloud.around.seed

    async def broken(self, tell: Tell = lambda _what: None) -> ChildEndedError:
        """Wait until a function ends by itself. Meanwhile `tell` hears of each alert that fires, and of each refusal the first time."""
        pages, refused = 0, 0
        while True:
            for page in self._cloud.watch.monitoring.pages[pages:]:
                tell(str(page))
            for what in list(self._cloud.decisions.refused)[refused:]:
                tell(f"refused: {what}")
            pages, refused = len(self._cloud.watch.monitoring.pages), len(self._cloud.decisions.refused)
            for service in self._cloud.services.values():
                if service.child is not None and not service.child.alive:
                    return await service.child.ended()
            await self._real_time.sleep(LOOK_EVERY_S)


@contextlib.asynccontextmanager
async def hosted(
    loaded: Loaded,
    folder: Path,
    tell: Tell,
    *,
    propagation_s: float = 0.0,
    seed: int = 0,
    on_line: Callable[[str, str], None] | None = None,
    **options: Any,
) -> AsyncGenerator[Hosted]:
    """What was registered, running. What cannot be shown here is listed. Raises `Failed` if the deployment does not start, and
    ChildEndedError if a function refuses its settings. `options` are those of `Hosted`."""
    for sentence in not_shown(loaded):
        tell(f"Not shown here: {sentence}")
    async with contextlib.AsyncExitStack() as running:
        emulator = running.enter_context(_emulator(tell))
        cloud = await _started(running, loaded, Surroundings(folder, emulator, propagation_s, seed), on_line)
        place = Hosted(cloud, **options)
        running.push_async_callback(place.aclose)
        await place.start()
        yield place


@contextlib.asynccontextmanager
async def rehearsed(
    folder: Path, tell: Tell, seed: int, on_line: Callable[[str, str], None] | None, **changes: object
) -> AsyncGenerator[Hosted]:
    """What the Pulumi program deploys with the least configuration and `changes` (by short name), running. `folder`: absolute, since the
    engine runs in another. Raises as `hosted`, and `Failed` if the program itself fails."""
    program = Program(project_root(), folder / "project", "minimal", stack_file.MINIMAL, [])
    tell("Running the Pulumi program ...")
    try:
        loaded = await program.load(**changes)
    except ProgramRefused as error:
        raise Failed(f"the Pulumi program fails, as it would in `pulumi up`:\n{error}", "correct it, or leave --rehearsed out.") from None
    finally:
        program.close()
    async with hosted(loaded, folder / "cloud", tell, seed=seed, on_line=on_line) as place:
        yield place


@contextlib.contextmanager
def _emulator(tell: Tell) -> Generator[str]:
    """A Firestore emulator's `host:port`; empty where none can run."""
    if missing := firestore_emulator.unavailable():
        for sentence in without_emulator({}, missing):
            tell(f"Not shown here: {sentence}")
        yield ""
        return
    tell("Starting the Firestore emulator ...")
    with firestore_emulator.emulator() as address:
        yield address


async def _started(
    running: contextlib.AsyncExitStack, loaded: Loaded, around: Surroundings, on_line: Callable[[str, str], None] | None
) -> LocalCloud:
    """A cloud that ends with `running`."""
    cloud = None
    try:
        cloud = LocalCloud(loaded, around, on_line)
        running.push_async_callback(cloud.aclose)
        await cloud.clear_records()
        await cloud.start()
    except ChildEndedError:
        raise
    except BROKEN as error:
        refused = "".join(f"\n  refused: {what}" for what in cloud.decisions.refused) if cloud else ""
        raise Failed(f"the deployment does not start: {error}{refused}", "`rtmskit rehearse` says which drill names it.") from None
    return cloud
