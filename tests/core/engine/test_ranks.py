"""Which rank a process is, by whoever started it."""

from __future__ import annotations

import pytest

from vlc_core.engine.place import launched, place
from vlc_core.engine.ranks import _first_host, _master, losses_named, on_first
from vlc_core.errors import DataError, RankLost, RecipeError, StorageError
from vlc_core.testing.ranks import run_on_ranks

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "host", "MASTER_PORT": "1234"}
SLURM = {
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "16",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[03-07,9],cpu1",
    "SLURM_JOB_ID": "123456",
}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1, 0)),
        (TORCHRUN, (3, 8, 1)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, (0, 1, 0)),
        (SLURM, (5, 16, 1)),
        ({**SLURM, **TORCHRUN}, (3, 8, 1)),
        ({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4"}, (0, 1, 0)),
        ({"SLURM_STEP_ID": "0", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, (0, 1, 0)),
    ],
    ids=["alone", "torchrun", "torchrun of one", "srun", "torchrun under srun", "sbatch without srun", "srun of one"],
)
def test_a_process_knows_its_place(environment, expected):
    assert place(environment) == expected
    assert launched(environment) is (expected[1] > 1)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"RANK": "1"}, "left WORLD_SIZE unset: set RANK, WORLD_SIZE and LOCAL_RANK"),
        ({"WORLD_SIZE": "2"}, "left RANK unset"),
        ({"RANK": "one", "WORLD_SIZE": "2"}, "left RANK at 'one'"),
        ({"RANK": "", "WORLD_SIZE": "2"}, "left RANK unset"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "left RANK at '-1'"),
        ({**TORCHRUN, "LOCAL_RANK": "x"}, "left LOCAL_RANK at 'x'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "set RANK=2, WORLD_SIZE=2, LOCAL_RANK=0, and a rank counts from 0"),
        ({"RANK": "0", "WORLD_SIZE": "0"}, "a rank counts from 0"),
        ({**SLURM, "SLURM_PROCID": ""}, "left SLURM_PROCID unset: start it with srun"),
        ({**SLURM, "SLURM_NTASKS": "4(x2)"}, r"left SLURM_NTASKS at '4\(x2\)'"),
    ],
)
def test_a_half_set_environment_is_told(environment, words):
    with pytest.raises(RecipeError, match=words):
        place(environment)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[03-07,9],cpu1", "gpu03"),
        ("node7", "node7"),
        ("a1,a2", "a1"),
        ("gpu-[12,14]", "gpu-12"),
        ("n[001-128]", "n001"),
        ("host.domain.org", "host.domain.org"),
    ],
)
def test_the_first_host_of_a_node_list(nodes, first):
    assert _first_host(nodes) == first


def test_where_ranks_meet():
    assert _master(TORCHRUN) == ("host", "1234")
    assert _master({"MASTER_ADDR": "host"}) == ("host", "29500")
    assert _master(SLURM) == ("gpu03", str(20000 + 123456 % 20000))
    assert _master({**SLURM, "MASTER_PORT": "7"}) == ("gpu03", "7")
    with pytest.raises(RecipeError, match="several ranks but no MASTER_ADDR"):
        _master({"RANK": "0"})


def test_alone_what_the_first_rank_makes_is_what_there_is():
    assert on_first(lambda: [1]) == [1]
    with pytest.raises(DataError, match="so"):
        on_first(lambda: (_ for _ in ()).throw(DataError("so")))
    with losses_named(), pytest.raises(ZeroDivisionError):
        _ = 1 / 0


def decide(rank: int, world: int) -> list[object]:
    calls: list[int] = []
    told = on_first(lambda: calls.append(rank) or {"from": rank})

    def refuse() -> None:
        raise StorageError(f"rank {rank} cannot write")

    try:
        on_first(refuse)
    except StorageError as error:
        return [told, len(calls), str(error)]
    return []


def test_one_rank_decides_for_all():
    first, second = run_on_ranks(decide, 2)
    assert first == [{"from": 0}, 1, "rank 0 cannot write"]
    assert second == [{"from": 0}, 0, "rank 0 cannot write"]


def left_alone(rank: int, world: int) -> str:
    import torch.distributed as dist

    if rank == 1:
        import os

        os._exit(3)
    try:
        with losses_named():
            dist.barrier()
    except RankLost as error:
        raise ValueError(f"known by name: {error}") from error
    return "the barrier held"


def test_a_collective_that_breaks_off_is_a_lost_rank():
    with pytest.raises(RankLost) as caught:
        run_on_ranks(left_alone, 2, timeout=30)
    assert "rank 1 died" in str(caught.value) or "known by name: rank 0 lost touch with another rank" in str(
        caught.value
    )


def trouble_of_its_own(rank: int, world: int) -> str:
    try:
        with losses_named():
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    except RuntimeError as error:
        return str(error)


def test_other_errors_keep_their_name():
    assert run_on_ranks(trouble_of_its_own, 2) == ["mat1 and mat2 shapes cannot be multiplied"] * 2
