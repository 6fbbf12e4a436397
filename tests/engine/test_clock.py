"""Virtual time reaches the thread that asked for it, and no other."""

import threading
import time

import pytest

from emulator.flower import clock


class Fake:
    def __init__(self):
        self.t = 5.0

    def now_s(self):
        return self.t

    def sleep(self, seconds):
        self.t += seconds


def test_the_thread_sees_virtual_time_and_others_see_real_time():
    seen = []
    with clock.virtual_time(Fake()):
        assert time.time() == clock.EPOCH_S + 5.0
        time.sleep(3600)
        assert time.monotonic() == time.perf_counter() == 3605.0
        thread = threading.Thread(target=lambda: seen.append(time.time()))
        thread.start()
        thread.join()
        with clock.real_time_inside():
            assert abs(time.time() - clock.real_time()) < 60
        assert time.time() == clock.EPOCH_S + 3605.0
    assert abs(seen[0] - clock.real_time()) < 60
    assert abs(time.time() - clock.real_time()) < 60


def test_negative_sleep_is_refused_as_in_real_time():
    with clock.virtual_time(Fake()), pytest.raises(ValueError, match="non-negative"):
        time.sleep(-1)


def test_flower_binds_the_patched_functions():
    from flwr.serverapp.strategy import strategy_utils

    assert strategy_utils.sleep is time.sleep
