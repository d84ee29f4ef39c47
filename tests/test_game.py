"""Several players, several optimizers, one `fit`: what Keras promises for one holds for a game."""

import csv
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import keraszoo
from keraszoo.training import Batches, MultiPlayerModel, Player
from keraszoo.training.optimizers import SGD, Adam
from tests.game import Line, dense

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(size=(48, 2)).astype("float32")


def line(optimizer=None, seed=1, compiled=None, **more):
    keras.utils.set_random_seed(seed)
    model = Line(**more)
    model.compile(optimizer or Adam(1e-2), **(compiled or {}))
    return model


def arrays(variables):
    return [np.array(ops.convert_to_numpy(v)) for v in variables]


def everything(model):
    return arrays([*model.variables, *model.optimizer.variables])


def assert_same(a, b, **tolerance):
    for left, right in zip(a, b, strict=True):
        np.testing.assert_allclose(left, right, **{"rtol": 0, "atol": 0, **tolerance})


def data(count=16, seed=0):
    rng = np.random.default_rng(seed)
    return {key: rng.normal(size=(count, 2)).astype("float32") for key in ("noise", "points")}


# --- fit and its kin --------------------------------------------------------------------------------------------


def test_history_has_one_loss_for_each_player_and_their_sum():
    history = line().fit(X, validation_data=(X,), epochs=2, batch_size=16, verbose=0).history
    names = {"critic_loss", "generator_loss", "loss", "reals"}
    assert set(history) == names | {f"val_{name}" for name in names}
    np.testing.assert_allclose(
        history["loss"], np.add(history["critic_loss"], history["generator_loss"]), rtol=1e-6
    )
    assert len(set(history["critic_loss"])) == 2


def test_each_player_trains_its_own_networks():
    model = line()
    for only, moves, stays in (
        ("critic", model.critic, model.generator),
        ("generator", model.generator, model.critic),
    ):
        moving, staying = arrays(moves.weights), arrays(stays.weights)
        model.fit(X, verbose=0, only=[only])
        assert not any(np.array_equal(a, b) for a, b in zip(moving, arrays(moves.weights), strict=True))
        assert_same(staying, arrays(stays.weights))
    assert set(model.fit(X, verbose=0).history) == {"critic_loss", "generator_loss", "loss", "reals"}
    with pytest.raises(ValueError, match="only must name some of the players.*'critic'"):
        model.fit(X, only=["nobody"])


def test_evaluate_changes_nothing_and_predict_repeats_itself():
    model = line()
    model.fit(X, verbose=0)
    before = everything(model)
    first, second = (model.evaluate(X, verbose=0, return_dict=True) for _ in range(2))
    assert first == second and set(first) == {"critic_loss", "generator_loss", "loss", "reals"}
    np.testing.assert_array_equal(model.predict(X, verbose=0), model.predict(X, verbose=0))
    assert_same(before, everything(model))


def test_train_on_batch_is_a_step_of_fit():
    a, b = line(), line()
    a.fit(X, batch_size=16, shuffle=False, verbose=0)
    for i in range(0, 48, 16):
        logs = b.train_on_batch(X[i : i + 16], return_dict=True)
    assert set(logs) == {"critic_loss", "generator_loss", "loss", "reals"}
    assert_same(everything(a), everything(b), atol=1e-6)
    assert int(b.optimizer.iterations) == 3


@pytest.mark.parametrize(
    "compiled", [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 2}], ids=str
)
def test_however_it_is_run_the_numbers_are_the_same(compiled):
    plain, other = line(), line(compiled=compiled)
    batches = Batches(data(40), batch_size=8)  # five: the last execution is a short one
    histories = [m.fit(batches, validation_data=batches, epochs=2, verbose=0).history for m in (plain, other)]
    for key, values in histories[0].items():
        np.testing.assert_allclose(histories[1][key], values, rtol=1e-5, err_msg=key)
    assert_same(everything(plain), everything(other), atol=1e-5)
    np.testing.assert_allclose(other.predict(X, verbose=0), plain.predict(X, verbose=0), atol=1e-5)


# --- who plays, and when ----------------------------------------------------------------------------------------


def test_repeat_is_so_many_updates_on_the_same_batch():
    model, twice = line(SGD(0.1)), line(SGD(0.1), repeat=3)
    batch = data()
    for _ in range(3):
        model.fit(batch, batch_size=16, verbose=0, only=["critic"])
    twice.fit(batch, batch_size=16, verbose=0, only=["critic"])
    assert_same(arrays(model.critic.weights), arrays(twice.critic.weights), atol=1e-6)
    assert int(twice.optimizer["critic"].iterations) == 3


def test_split_gives_each_update_its_own_part():
    model, split = line(SGD(0.1)), line(SGD(0.1), repeat=2, split=True)
    batch = data()
    model.fit(batch, batch_size=8, shuffle=False, verbose=0, only=["critic"])
    split.fit(batch, batch_size=16, shuffle=False, verbose=0, only=["critic"])
    assert_same(arrays(model.critic.weights), arrays(split.critic.weights), atol=1e-6)
    small = line(repeat=5, split=True).fit(X[:3], verbose=0).history  # fewer samples than turns
    assert np.isfinite(small["critic_loss"][0])


def test_every_takes_turns_in_each_so_manyth_step():
    model = line(every=3)
    start = arrays(model.generator.weights)
    for step in range(1, 7):
        before = arrays(model.generator.weights)
        model.train_on_batch(X[:8])
        moved = not np.array_equal(before[0], arrays(model.generator.weights)[0])
        assert moved == (step % 3 == 0)
    assert int(model.optimizer["generator"].iterations) == 2
    assert not np.array_equal(start[0], arrays(model.generator.weights)[0])


def test_a_copy_follows_its_network():
    model = line(SGD(0.1))
    slow = arrays(model.average.weights)
    for _ in range(3):
        model.train_on_batch(X[:8])
        slow = [0.9 * a + 0.1 * b for a, b in zip(slow, arrays(model.generator.weights), strict=True)]
    assert_same(slow, arrays(model.average.weights), atol=1e-6)


class Sloped(Line):
    """A critic whose slope is asked to be one, as of Gulrajani et al. 2017."""

    def critic_loss(self, data, training):
        from keraszoo.training import gradient

        points, _ = self.drawn(data)
        slope = gradient(lambda p: self.critic(p, training=training))(points)
        return ops.mean((ops.sqrt(ops.sum(slope**2, axis=-1) + 1e-12) - 1) ** 2)


def test_a_gradient_penalty_is_learned():
    keras.utils.set_random_seed(1)
    model = Sloped()
    model.compile(Adam(1e-2))
    losses = model.fit(X, epochs=40, verbose=0, only=["critic"]).history["critic_loss"]
    assert losses[-1] < 0.1 * losses[0]
    assert model.evaluate(X, verbose=0, return_dict=True)["critic_loss"] < 0.1 * losses[0]


# --- optimizers -------------------------------------------------------------------------------------------------


def test_one_optimizer_for_all_is_one_for_each():
    model = line("sgd")
    assert [o.name for o in model.optimizer.optimizers] == ["critic", "generator"]
    assert model.optimizer["critic"] is not model.optimizer["generator"]
    model.optimizer.learning_rate = 0.5
    assert all(float(o.learning_rate) == 0.5 for o in model.optimizer.optimizers)
    own = {"critic": Adam(1e-3), "generator": SGD(0.1)}
    model.compile(own)
    assert model.optimizer["critic"] is own["critic"]
    with pytest.raises(AttributeError, match="a learning rate of its own"):
        _ = model.optimizer.learning_rate


def test_the_optimizer_holds_its_own_variables_and_no_weights():
    model = line()
    held = [id(v) for v in model.optimizer.variables]
    assert len(held) == len(set(held)) and not set(held) & {id(v) for v in model.variables}
    parts = sum(len(optimizer.variables) for optimizer in model.optimizer.optimizers)
    assert len(held) == parts + 2  # the number of steps, and a rate that nobody uses


def test_says_what_is_wrong_with_the_players():
    model = line()
    with pytest.raises(ValueError, match="nothing for 'generator'"):
        model.compile({"critic": "adam"})
    with pytest.raises(ValueError, match="'critik', who does not play. Did you mean 'critic'"):
        model.compile({"critik": "adam", "generator": "adam"})
    one = Adam()
    with pytest.raises(ValueError, match="optimizer of its own"):
        model.compile({"critic": one, "generator": one})
    with pytest.raises(ValueError, match="losses of their own"):
        model.compile(loss="mse")
    model.average.trainable = True
    with pytest.raises(ValueError, match="No player trains .*kernel"):
        model.compile()
    model.average.trainable = False
    model = Line()
    model.critic = keras.Sequential([dense(1)])
    with pytest.raises(ValueError, match="a network of player 'critic', is not built"):
        model.compile()
    with pytest.raises(ValueError, match="repeat must be"):
        Player([model.generator], print, repeat=0)
    with pytest.raises(TypeError, match="networks must be"):
        Player(model.generator, print)
    with pytest.raises(NotImplementedError, match="players"):
        MultiPlayerModel().compile()


def test_says_whose_loss_is_no_scalar():
    model = line()
    model.generator_loss = lambda data, training: ops.ones((3,))
    with pytest.raises(ValueError, match="loss of player 'generator' must be a scalar"):
        model.fit(X, verbose=0)


def test_clipping_and_schedules_are_each_players_own():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.1)
    model = line({"critic": SGD(1.0, global_clipnorm=1e-3), "generator": SGD(schedule)})
    critic, generator = arrays(model.critic.weights), arrays(model.generator.weights)
    model.train_on_batch(X)
    moved = np.sqrt(
        sum(((a - b) ** 2).sum() for a, b in zip(critic, arrays(model.critic.weights), strict=True))
    )
    np.testing.assert_allclose(moved, 1e-3, rtol=1e-3)
    first = np.abs(generator[0] - arrays(model.generator.weights)[0]).max()
    assert first > 1e-3
    for _ in range(4):
        model.train_on_batch(X)
    before = arrays(model.generator.weights)
    model.train_on_batch(X)
    assert np.abs(before[0] - arrays(model.generator.weights)[0]).max() < 1e-3 * first


def test_gradients_accumulate():
    plain = line({"critic": SGD(0.1), "generator": SGD(0.0)})
    slow = line({"critic": SGD(0.1, gradient_accumulation_steps=2), "generator": SGD(0.0)})
    batch = data()
    plain.fit(batch, batch_size=16, shuffle=False, verbose=0)
    slow.fit(batch, batch_size=8, shuffle=False, verbose=0)
    assert_same(arrays(plain.critic.weights), arrays(slow.critic.weights), atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = line()
        losses = model.fit(X, epochs=2, verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(losses["critic_loss"]).all() and np.isfinite(losses["generator_loss"]).all()
    full = line().fit(X, epochs=2, verbose=0).history
    np.testing.assert_allclose(losses["critic_loss"], full["critic_loss"], rtol=0.05)
    scales = [hasattr(optimizer, "dynamic_scale") for optimizer in model.optimizer.optimizers]
    assert scales == [policy == "mixed_float16"] * 2


def test_an_overflow_of_one_player_halves_its_own_scale():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = line()
        model.optimizer["critic"].dynamic_scale.assign(3e38)
        before = arrays(model.critic.weights)
        model.train_on_batch(X)
    finally:
        keras.config.set_dtype_policy("float32")
    assert_same(before, arrays(model.critic.weights))  # the update was skipped
    assert float(model.optimizer["critic"].dynamic_scale) < 2e38
    assert float(model.optimizer["generator"].dynamic_scale) == 2.0**15


# --- callbacks --------------------------------------------------------------------------------------------------


def test_the_usual_callbacks(tmp_path):
    model = line(Adam(0.1))
    rates = []
    model.fit(
        X,
        validation_data=(X,),
        epochs=4,
        verbose=0,
        callbacks=[
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
            keras.callbacks.ReduceLROnPlateau(factor=0.5, min_delta=1e9, patience=1),
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda e, logs: rates.append(float(model.optimizer["critic"].learning_rate))
            ),
        ],
    )
    assert sorted(p.name for p in tmp_path.glob("*.keras")) == [f"{i}.keras" for i in (1, 2, 3, 4)]
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert len(rows) == 4 and {"critic_loss", "generator_loss", "learning_rate_critic"} <= set(rows[0])
    assert rates[0] < 0.051 and all(b < 0.51 * a for a, b in zip(rates, rates[1:], strict=False))
    loaded = keraszoo.load(tmp_path / "4.keras")
    assert_same(arrays(loaded.variables), arrays(model.variables))  # rates were lowered after it was saved


def test_early_stopping_brings_the_best_weights_back():
    model = line()
    stop = keras.callbacks.EarlyStopping(
        monitor="val_critic_loss", mode="min", patience=0, min_delta=1e9, restore_best_weights=True
    )
    history = model.fit(X, validation_data=(X,), epochs=9, verbose=0, callbacks=[stop]).history
    assert len(history["loss"]) == 2


def test_a_broken_off_run_is_picked_up(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def batches():
        return Batches(X, batch_size=16, seed=3)

    whole = line()
    whole.fit(batches(), epochs=4, verbose=0)
    model = line()
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            batches(), epochs=4, verbose=0, callbacks=[keras.callbacks.BackupAndRestore(tmp_path), Stop()]
        )
    model = line(seed=5)
    model.fit(batches(), epochs=4, verbose=0, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])
    assert_same(everything(whole), everything(model))


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_a_loss_that_is_not_finite_ends_the_game_and_spares_the_file(player, tmp_path):
    file = tmp_path / "model.keras"
    for callbacks in ([], [keras.callbacks.ModelCheckpoint(file, save_freq=1)]):
        model = line()
        poison(model, player)
        with pytest.raises(FloatingPointError, match=f"loss of player '{player}'.*epoch 1, batch 5"):
            model.fit(X, batch_size=4, verbose=0, callbacks=callbacks)
    assert all(np.isfinite(w).all() for w in everything(keraszoo.load(file)))


def poison(model, player):
    """Make the loss of a player infinite from the fifth step on."""
    loss = getattr(model, f"{player}_loss")

    def poisoned(data, training):
        left = 4.0 - ops.cast(model.optimizer.iterations, "float32")
        return loss(data, training) / ops.sign(ops.relu(left))

    setattr(model, f"{player}_loss", poisoned)


def test_terminate_on_nan_ends_it_without_an_error():
    model = line()
    model.generator_loss = lambda data, training: ops.sum(model.generator.weights[0]) * np.nan
    history = model.fit(
        X, batch_size=4, epochs=3, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]
    ).history
    assert len(history["loss"]) == 1


def test_tensorboard_writes_the_losses(tmp_path):
    pytest.importorskip("tensorflow")
    line().fit(X, epochs=1, verbose=0, callbacks=[keras.callbacks.TensorBoard(tmp_path)])
    assert any(b"critic_loss" in file.read_bytes() for file in tmp_path.rglob("events*"))


# --- save, load and go on ---------------------------------------------------------------------------------------


def batches(epoch=0):
    return Batches(X, batch_size=16, shuffle=True, seed=3, initial_epoch=epoch)


def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(tmp_path):
    options = dict(repeat=2, split=True, every=2)
    keep = {"critic": SGD(0.05, momentum=0.9), "generator": Adam(1e-2)}
    whole = line(keep, **options)
    history = whole.fit(batches(), epochs=4, verbose=0).history
    keep = {"critic": SGD(0.05, momentum=0.9), "generator": Adam(1e-2)}
    half = line(keep, **options)
    half.fit(batches(), epochs=2, verbose=0)
    half.save(tmp_path / "half.keras")
    resumed = keraszoo.load(tmp_path / "half.keras")
    assert resumed.plan == half.plan
    later = resumed.fit(batches(2), initial_epoch=2, epochs=4, verbose=0).history
    assert later["critic_loss"] == history["critic_loss"][2:]
    assert later["generator_loss"] == history["generator_loss"][2:]
    assert_same(everything(whole), everything(resumed))


GO_ON = """
import os, sys
from tests.reload import hide
os.environ["KERAS_BACKEND"] = sys.argv[1]
hide(*{"tensorflow", "torch", "jax"} - {sys.argv[1]})
import numpy as np, keraszoo, tests.game
from tests.test_game import data, everything
model = keraszoo.load(sys.argv[2])
losses = [model.train_on_batch(data(seed=i)) for i in range(5)]
np.savez(sys.argv[3], *everything(model), losses=losses)
"""


@pytest.mark.parametrize("backend", sorted({"jax", "tensorflow", "torch"} - {BACKEND}))
def test_goes_on_alike_on_another_backend(backend, tmp_path):
    model = line(repeat=2)
    model.fit(data(), verbose=0)
    model.save(tmp_path / "model.keras")
    command = [sys.executable, "-c", GO_ON, backend, tmp_path / "model.keras", tmp_path / "there.npz"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    losses = [model.train_on_batch(data(seed=i)) for i in range(5)]
    with np.load(tmp_path / "there.npz") as there:
        np.testing.assert_allclose(there["losses"], losses, atol=1e-5)
        for i, value in enumerate(everything(model)):
            np.testing.assert_allclose(there[f"arr_{i}"], value, rtol=1e-5, atol=1e-5)


# --- several devices --------------------------------------------------------------------------------------------


def test_several_devices_are_as_one_or_are_refused():
    if BACKEND != "torch":
        done = subprocess.run([sys.executable, "-m", "tests.parallel"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "devices differ from one by" in done.stdout
    if BACKEND != "jax":
        model = line()
        mesh = keras.distribution.DeviceMesh((1,), ["batch"], ["cpu:0"])
        keras.distribution.set_distribution(keras.distribution.DataParallel(device_mesh=mesh))
        try:
            with pytest.raises(ValueError, match=f"works on JAX only; on {BACKEND}, (build|train)"):
                model.fit(X, verbose=0)
        finally:
            keras.distribution.set_distribution(None)
