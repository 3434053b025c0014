"""What is done to a cluster of containers while it trains; after each it must be whole again, in a new generation."""

import time

from commands import run, say
from recipe import WORKERS


def disturb(cluster):
    """Every container killed, a worker crashed, paused, cut off from each network, and the run ended and gone on with."""
    cluster.all_train()
    for rank in range(WORKERS):
        kill(cluster, rank)
    crash(cluster, 1)
    pause(cluster, 2)
    cut_off(cluster, 3, "control")
    cut_off(cluster, 0, "collectives")
    kill_coordinator(cluster)
    restart_coordinator(cluster)
    status = end_and_go_on(cluster)
    say(f"the last fault was over at step {status['step']} of {status['total_steps']}")


def kill(cluster, rank):
    """To Docker a `docker kill` is the operator's wish: no restart policy answers it, and the others go on without."""
    container = cluster.worker(rank)
    lose(cluster, "the killed worker is lost", lambda: run("docker", "kill", container),
         lambda: run("docker", "start", container))
    say(f"killed the container of rank {rank} and started it: it is back")


def crash(cluster, rank):
    """The program alone: the restart policy starts it again."""
    container = cluster.worker(rank)
    before = cluster.train_on()
    run("docker", "exec", container, "sh", "-c", "kill -KILL $(pidof worker)")
    cluster.all_train(after=before)
    if run("docker", "inspect", "-f", "{{.RestartCount}}", container).strip() == "0":
        raise SystemExit(f"the worker of rank {rank} is back, but not by its restart policy")
    say(f"crashed the program of rank {rank}: the restart policy brought it back")


def pause(cluster, rank):
    container = cluster.worker(rank)
    lose(cluster, "the paused worker is evicted", lambda: run("docker", "pause", container),
         lambda: run("docker", "unpause", container))
    say(f"paused rank {rank} and woke it: it is back")


def cut_off(cluster, rank, network):
    """From one network alone. Without `control` it keeps its exchanges and hears no coordinator; without `collectives` it
    hears the coordinator, is set aside, and listens at an address that is gone: it is started again in its network."""
    container = cluster.worker(rank)
    # As Compose has named it there, but for the name that Docker gives by itself.
    aliases = [name for name in cluster.endpoint(container, network)["Aliases"] or [] if not container.startswith(name)]

    def mend():
        cluster.connect(container, network, aliases)
        if network == "collectives":
            run("docker", "restart", container)

    lose(cluster, f"the worker cut off from {network} takes no part",
         lambda: run("docker", "network", "disconnect", cluster.network(network), container), mend)
    say(f"cut rank {rank} off from {network} and connected it: it is back")


def kill_coordinator(cluster):
    before = cluster.train_on()
    coordinator = cluster.coordinator()
    run("docker", "kill", coordinator)
    run("docker", "start", coordinator)
    cluster.all_train(after=before)
    say("killed the coordinator and started it: the run goes on")


def restart_coordinator(cluster):
    before = cluster.train_on()
    run("docker", "restart", cluster.coordinator())
    cluster.all_train(after=before)
    say("restarted the coordinator: the run goes on")


def end_and_go_on(cluster, seconds=120):
    """SIGTERM ends the run in order, everywhere and for good; `up` goes on with it."""
    before = cluster.train_on()
    coordinator = cluster.coordinator()
    run("docker", "kill", "--signal", "TERM", coordinator)
    deadline = time.monotonic() + seconds
    while running := cluster.containers("coordinator") + cluster.containers("worker"):
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(running)} containers still run {seconds} s after the run was ended")
        time.sleep(0.5)
    if run("docker", "inspect", "-f", "{{.RestartCount}}", coordinator).strip() != "0":
        raise SystemExit("the run was ended in order, and the restart policy has begun it again")
    cluster.up()
    status = cluster.all_train(after=before)
    say("ended the run and brought it up: it goes on")
    return status


def lose(cluster, what, harm, mend):
    """Harms a worker amid training; once the others have gone on without it, mends that, and waits until all train."""
    cluster.train_on()
    harm()
    before = others_go_on(cluster, what)
    mend()
    cluster.all_train(after=before)


def others_go_on(cluster, what):
    """Until one worker is lost or set aside and the others have done more steps without it; the status then."""
    taking_part = lambda status: sum(worker["rank"] is not None for worker in status["workers"])  # noqa: E731
    lost = cluster.wait(what, lambda status: taking_part(status) == WORKERS - 1)
    reached = lost["step"] + 3
    return cluster.wait(f"step {reached} is done without it", lambda status: status["step"] >= reached)
