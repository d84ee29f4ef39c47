"""Series as data sets: windows, what follows them, and no look into the test part."""

import dataclasses
import hashlib

import numpy as np
import pytest

import keraszoo
from keraszoo.data import series


def test_windows_and_what_follows():
    (x, y), (x_test, y_test) = series.windows(np.arange(10), window=3, test_share=0.2)
    np.testing.assert_array_equal(x[0, :, 0], [0, 1, 2])
    np.testing.assert_array_equal(y[:, 0], [3, 4, 5, 6, 7])
    np.testing.assert_array_equal(y_test[:, 0], [8, 9])
    np.testing.assert_array_equal(x_test[-1, :, 0], [6, 7, 8])
    assert x.shape == (5, 3, 1) and x.dtype == y.dtype == "float32"


def test_tides_rise_and_fall_twice_a_day():
    data = keraszoo.data.load("tides", window=24, count=2000)
    level = data.train[1][:, 0]
    power = np.abs(np.fft.rfft(level - level.mean())) ** 2
    assert len(level) / power.argmax() == pytest.approx(12.42, rel=0.01)
    assert data.input_shape == (24, 1) and data.task == "forecasting"
    with pytest.raises(ValueError, match="window must be from 1 to 1599"):
        keraszoo.data.load("tides", window=1700, count=2000)
    with pytest.raises(ValueError, match="test_share"):
        keraszoo.data.load("tides", test_share=1.5)


def test_a_series_of_a_file(tmp_path, monkeypatch):
    path = tmp_path / series.NAB.path
    path.parent.mkdir()
    np.savez(path, names=np.array(["up", "down"]), up__x=np.arange(50.0), down__x=-np.arange(50.0))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match="damaged"):
        keraszoo.data.load("nab_timeseries", series="up", data_dir=tmp_path)
    monkeypatch.setattr(series, "NAB", dataclasses.replace(series.NAB, sha256=digest))
    data = keraszoo.data.load("nab_timeseries", series="down", window=4, data_dir=tmp_path)
    np.testing.assert_array_equal(data.test[1][:, 0], -np.arange(40, 50))
    with pytest.raises(ValueError, match="No series is called 'downs'. Did you mean 'down'"):
        keraszoo.data.load("nab_timeseries", series="downs", data_dir=tmp_path)
