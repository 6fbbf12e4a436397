# SPDX-License-Identifier: Apache-2.0
"""Classes, patients, MIT-BIH against its published totals, and the cache of prepared data."""

import csv
import logging
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgen.data import aami, cache, mitdb, physionet
from fedgen.data.partition import patients_of_client
from fedgen.data.simulated import simulate
from fedgen.data.sources import MitdbSource, SimulatedSource, choose_source, open_source
from fedgen.data.windows import PreparedPatient, prepare
from fedgen.errors import ConfigError, DataError

DE_CHAZAL_DS1 = (45866, 944, 3788, 415, 8)
"""N S V F Q of DS1 as published in de Chazal et al. 2004, table II."""


def test_split_is_the_published_one() -> None:
    assert len(aami.TRAIN_PATIENTS) == 22
    assert len(aami.TEST_PATIENTS) == 21
    everyone = {*aami.TRAIN_PATIENTS, *aami.TEST_PATIENTS, *aami.PACED_RECORDS, "202"}
    assert len(everyone) == 48 == len(physionet.ALL_RECORDS)
    assert "201" in aami.TRAIN_PATIENTS
    assert "202" not in aami.TEST_PATIENTS


def test_folds_train_on_every_record_once_and_never_on_a_person_they_test() -> None:
    (first_train, first_test), (second_train, second_test) = aami.FOLDS[1], aami.FOLDS[2]
    assert len(first_train) == len(second_train) == 22
    assert len({*first_train, *second_train}) == 44
    assert {*first_test, *second_test} == {*first_train, *second_train} - {"201", "202"}
    for train, test in aami.FOLDS.values():
        assert not set(train) & set(test)
        assert not ({"201", "202"} & set(train) and {"201", "202"} & set(test)), "one person"


def test_simulated_folds_change_places() -> None:
    one, two = (open_source("simulated", "", 3, fold) for fold in (1, 2))
    assert set(two.test_patients()) < set(one.train_patients(22))
    assert set(one.test_patients()) < set(two.train_patients(22))
    assert not set(two.test_patients()) & set(two.train_patients(30))


def test_symbols_that_are_no_beats_are_skipped() -> None:
    positions, classes = aami.classes_of_symbols(list("+NA~V|F/Qx"))
    assert positions.tolist() == [1, 2, 4, 6, 7, 8]
    assert [aami.CLASS_NAMES[code] for code in classes] == ["N", "S", "V", "F", "Q", "Q"]


@given(partitions=st.integers(1, 22))
def test_every_patient_has_one_clinic_and_clinics_are_even(partitions: int) -> None:
    shares = [patients_of_client(aami.TRAIN_PATIENTS, i, partitions) for i in range(partitions)]
    assert sorted(sum(shares, ())) == sorted(aami.TRAIN_PATIENTS)
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


@pytest.mark.parametrize(("partition", "partitions"), [(0, 23), (0, 0), (3, 3), (-1, 3)])
def test_impossible_partitions_are_refused(partition: int, partitions: int) -> None:
    with pytest.raises(DataError, match=r"num-partitions|partition-id"):
        patients_of_client(aami.TRAIN_PATIENTS, partition, partitions)


def test_simulated_patients_grow_with_the_clients() -> None:
    source = SimulatedSource(0)
    assert len(source.train_patients(10)) == 22
    assert len(source.train_patients(1000)) == 1000
    assert not set(source.train_patients(1000)) & set(source.test_patients())


def test_totals_are_the_published_ones(mitdb_folder: Path) -> None:
    with (mitdb_folder / "records.csv").open() as file:
        published = {row["record"]: row for row in csv.DictReader(file)}
    sums = physionet.published_sums(mitdb_folder)
    totals = np.zeros(5, dtype=int)
    for record in aami.TRAIN_PATIENTS:
        recording = mitdb.read_record(mitdb_folder, record, sums)
        counts = np.bincount(recording.beat_classes, minlength=5)
        assert counts.tolist() == [int(published[record][name]) for name in aami.CLASS_NAMES], record
        totals += counts
    assert tuple(totals) == DE_CHAZAL_DS1
    assert recording.sampling_hz == 360.0
    assert len(recording.signal_mv) == 650_000


@pytest.mark.slow
def test_totals_of_all_records_are_the_published_ones(mitdb_folder: Path) -> None:
    sums = physionet.published_sums(mitdb_folder)
    totals = np.zeros(5, dtype=int)
    test_totals = np.zeros(5, dtype=int)
    import wfdb

    for record in physionet.ALL_RECORDS:
        physionet.verify_record(mitdb_folder, record, sums)
        _, classes = aami.classes_of_symbols(list(wfdb.rdann(str(mitdb_folder / record), "atr").symbol))
        totals += np.bincount(classes, minlength=5)
        if record in aami.TEST_PATIENTS or record == "202":
            test_totals += np.bincount(classes, minlength=5)
    assert totals.tolist() == [90631, 2781, 7236, 803, 8043]
    assert test_totals.tolist() == [44259, 1837, 3221, 388, 7], "DS2 of de Chazal et al. with 202"


def test_lead_is_found_by_name(mitdb_folder: Path) -> None:
    sums = physionet.published_sums(mitdb_folder)
    import wfdb

    second = wfdb.rdrecord(str(mitdb_folder / "114"), channels=[1])
    assert second.sig_name == ["MLII"]
    recording = mitdb.read_record(mitdb_folder, "114", sums)
    np.testing.assert_array_equal(recording.signal_mv, second.p_signal[:, 0])
    with pytest.raises(DataError, match=r"102 has leads V5, V2, but not MLII"):
        mitdb.read_record(mitdb_folder, "102", sums)


def test_mitdb_windows_are_centred_on_beats(mitdb_folder: Path) -> None:
    source = MitdbSource(mitdb_folder, physionet.published_sums(mitdb_folder))
    prepared = source.prepared("101")
    assert len(prepared.beats) == 1865
    assert prepared.raw_samples == 650_000
    assert abs(int(np.argmax(prepared.template)) - 48) <= 3


def test_environment_names_the_folder_or_its_parent(mitdb_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for named in (mitdb_folder, mitdb_folder.parent):
        monkeypatch.setenv("FEDGEN_DATA", str(named))
        assert mitdb.find("") == mitdb_folder
    monkeypatch.setenv("FEDGEN_DATA", str(mitdb_folder))
    assert mitdb.find("/nowhere/at/all") is None, "data.dir alone counts when it is given"
    assert mitdb.find("", fold=2) == mitdb_folder
    used, _, notice = choose_source("mitdb", "simulated", "", 0)
    assert used == "mitdb"
    assert notice is None


def test_unknown_source() -> None:
    with pytest.raises(ConfigError, match=r"data.source is 'eicu'; allowed: mitdb, simulated"):
        open_source("eicu", "", 0)


@pytest.fixture
def patient() -> PreparedPatient:
    """Return a small prepared patient."""
    return prepare(simulate(0, "cached", duration_s=30.0))


def test_cache_gives_back_what_was_saved(tmp_path: Path, patient: PreparedPatient) -> None:
    cache.save(tmp_path / "deep" / "x.npz", patient)
    got = cache.load(tmp_path / "deep" / "x.npz")
    assert got is not None
    assert got.patient == "cached"
    assert got.raw_samples == patient.raw_samples
    for name in ("beats", "template", "rhythm", "classes"):
        stored, original = getattr(got, name), getattr(patient, name)
        np.testing.assert_array_equal(stored, original)
        assert stored.dtype == original.dtype
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.npz"], "no temporary file is left"


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_damaged_cache_is_rebuilt_with_a_log_line(
    tmp_path: Path,
    patient: PreparedPatient,
    damage: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "_in_memory", {})
    built = []

    def build() -> PreparedPatient:
        built.append(1)
        return patient

    cache.load_or_prepare("digest", build)
    (path,) = (tmp_path / "fedgen" / "prepared").iterdir()
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"not a zip", "empty": b""}[damage])
    cache.load_or_prepare("digest", build)
    assert len(built) == 1, "memory spares the disk"
    monkeypatch.setattr(cache, "_in_memory", {})
    with caplog.at_level(logging.WARNING, logger="fedgen"):
        got = cache.load_or_prepare("digest", build)
    assert len(built) == 2
    assert "preparing it again" in caplog.text
    np.testing.assert_array_equal(got.beats, patient.beats)
    monkeypatch.setattr(cache, "_in_memory", {})
    cache.load_or_prepare("digest", build)
    assert len(built) == 2, "the rebuilt file is whole"


def test_unwritable_cache_is_no_error(
    tmp_path: Path, patient: PreparedPatient, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    cache.save(tmp_path / "file" / "x.npz", patient)
    assert "is not cached" in caplog.text


def test_cache_key_follows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    first = cache.cache_key("a")
    assert first == cache.cache_key("a") != cache.cache_key("b")
    monkeypatch.setattr("fedgen.data.windows.PREPARATION_VERSION", 999)
    assert cache.cache_key("a") != first


def _save_often(path: Path, seed: int) -> None:
    prepared = prepare(simulate(seed, "writer", duration_s=20.0))
    for _ in range(30):
        cache.save(path, prepared)


def test_two_processes_may_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "shared.npz"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_save_often, args=(path, 1)) for _ in range(2)]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        if path.is_file():
            assert cache.load(path) is not None, "a reader never sees half a file"
            seen += 1
    assert all(writer.exitcode == 0 for writer in writers)
    assert seen > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["shared.npz"]


def test_memory_holds_a_limited_number_of_patients(
    tmp_path: Path, patient: PreparedPatient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "_in_memory", {})
    monkeypatch.setattr(cache, "PATIENTS_IN_MEMORY", 3)
    for name in "abcde":
        assert cache.load_or_prepare(name, lambda: patient) is patient
    assert len(cache._in_memory) == 3
    assert cache.load_or_prepare("a", lambda: pytest.fail("it is on disk")) is not patient
