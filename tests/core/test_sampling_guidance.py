"""Proves what the denoiser feeds the network, that both guidance modes agree, and that sample_clip joins it
all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diffilm_core import Cancelled, DiffilmError
from diffilm_core.sampling import (
    SAMPLERS,
    ContextWindows,
    Denoiser,
    Guidance,
    NoiseSchedule,
    SamplerState,
    guidance,
    initial_noise,
    noisy_start,
    sample_clip,
    sample_dpmpp_2m,
    sigmas_for,
)

SCHEDULE = NoiseSchedule.create()


class Network(nn.Module):
    """Speaks the UNet's interface; records its calls."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(4, 4, 3, padding=1).to(dtype)
        self.calls: list[tuple[Tensor, Tensor, Tensor, dict[str, Any]]] = []

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, fps: Tensor | None = None, **kw: Any) -> Tensor:
        self.calls.append((x, timesteps, context, {"fps": fps, **kw}))
        shift = 3 * context.mean((1, 2)) + (0 if fps is None else fps.to(x.dtype) / 100) + timesteps.to(x.dtype) / 5000
        return torch.tanh(self.conv(x) + shift.view(-1, 1, 1, 1, 1))


def words(seed: int, length: int = 7) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"context": torch.randn(1, length, 8, generator=generator), "fps": torch.tensor([8.0])}


COND, UNCOND = words(1), words(2)


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
@pytest.mark.parametrize("t", [0, 321, 999])
def test_denoiser_inverts_the_training_target(prediction: str, t: int) -> None:
    """A network that answers with the very noise, velocity or latents gives back x0, seeing the VP latents and t."""
    x0, noise = torch.randn(2, 4, 3, 5, 5, dtype=torch.float64), torch.randn(2, 4, 3, 5, 5, dtype=torch.float64)
    a = SCHEDULE.alphas_cumprod[t]
    sigma = ((1 - a) / a).sqrt().expand(2)

    def network(x: Tensor, timesteps: Tensor, context: Tensor | None) -> Tensor:
        torch.testing.assert_close(x, a.sqrt() * x0 + (1 - a).sqrt() * noise)
        assert timesteps.tolist() == [t, t]
        return {"eps": noise, "v": a.sqrt() * noise - (1 - a).sqrt() * x0, "x0": x0}[prediction]

    denoiser = Denoiser(network, SCHEDULE, prediction)
    x = x0 + sigma.view(-1, 1, 1, 1, 1) * noise
    torch.testing.assert_close(denoiser(x, sigma), x0)
    torch.testing.assert_close(denoiser.denoised(x, sigma, denoiser.output(x, sigma, x0)), x0)


def test_denoiser_calls_the_network_in_its_dtype() -> None:
    network = Network(torch.bfloat16)
    x = torch.randn(1, 4, 3, 5, 5)
    out = Denoiser(network, SCHEDULE)(x, torch.tensor([2.0]), **COND)
    seen, timesteps, context, rest = network.calls[0]
    assert out.dtype == torch.float32
    assert seen.dtype == context.dtype == torch.bfloat16
    assert timesteps.dtype == torch.float32 and rest["fps"].dtype == torch.float32


def test_interpolated_timesteps() -> None:
    network = Network()
    between = SCHEDULE.sigma(torch.tensor([500.3]))
    x = torch.randn(1, 4, 3, 5, 5)
    Denoiser(network, SCHEDULE)(x, between, **COND)
    Denoiser(network, SCHEDULE, quantize=False)(x, between, **COND)
    assert network.calls[0][1].tolist() == [500.0]
    assert network.calls[1][1].tolist() == pytest.approx([500.3], abs=1e-3)


def guide(mode: str, network: nn.Module | None = None, **options: Any) -> Guidance:
    options = {"scale": 7.0, "uncond": UNCOND, **options}
    return Guidance(Denoiser(network or Network(), SCHEDULE, "v"), COND, mode=mode, **options)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_batched_equals_two_passes(batch: int, rescale: float) -> None:
    x, sigma = torch.randn(batch, 4, 3, 5, 5) * 5, torch.full((batch,), 5.0)
    one, two = Network(), Network()
    batched = guide("batched", one, rescale=rescale)(x, sigma)
    passes = guide("two_pass", two, rescale=rescale)(x, sigma)
    assert len(one.calls) == 1 and len(two.calls) == 2
    assert one.calls[0][0].shape[0] == 2 * batch
    torch.testing.assert_close(batched, passes, rtol=1e-5, atol=1e-5)


def test_formula() -> None:
    x, sigma = torch.randn(1, 4, 3, 5, 5), torch.tensor([3.0])
    denoiser = Denoiser(Network(), SCHEDULE, "v")
    cond, uncond = denoiser(x, sigma, **COND), denoiser(x, sigma, **UNCOND)
    torch.testing.assert_close(guide("two_pass")(x, sigma), uncond + 7 * (cond - uncond))


def test_rescale_brings_back_the_spread() -> None:
    x, sigma = torch.randn(2, 4, 3, 5, 5), torch.tensor([3.0, 3.0])
    full = guide("two_pass", rescale=1.0)
    denoiser = full.denoiser
    wanted = denoiser.output(x, sigma, guide("two_pass", scale=1.0)(x, sigma)).flatten(1).std(1)
    plain = denoiser.output(x, sigma, guide("two_pass")(x, sigma)).flatten(1).std(1)
    assert (plain > 1.2 * wanted).all()
    torch.testing.assert_close(denoiser.output(x, sigma, full(x, sigma)).flatten(1).std(1), wanted)


@pytest.mark.parametrize("options", [{"scale": 1.0}, {"uncond": None}])
def test_no_guidance_is_one_pass(options: dict[str, Any]) -> None:
    network = Network()
    guide("auto", network, **options)(torch.randn(1, 4, 3, 5, 5), torch.tensor([3.0]))
    assert len(network.calls) == 1 and network.calls[0][0].shape[0] == 1


def test_contexts_of_unequal_length() -> None:
    """Take two passes by themselves; asked for one batch, they are refused."""
    x, sigma = torch.randn(1, 4, 3, 5, 5), torch.tensor([3.0])
    guide("auto", uncond=words(2, 14))(x, sigma)
    with pytest.raises(DiffilmError, match="two_pass"):
        guide("batched", uncond=words(2, 14))(x, sigma)


@pytest.mark.parametrize(
    ("free", "chosen"), [(None, "two_pass"), (0, "two_pass"), (10**6, "two_pass"), (10**12, "batched")]
)
def test_auto_follows_the_free_memory(free: int | None, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an accelerator (the meta device stands for one)."""
    monkeypatch.setattr(guidance, "free_memory", lambda device: free)
    assert guide("auto")._choose(torch.empty(1, 4, 16, 32, 32, device="meta")) == chosen


def test_auto_keeps_to_its_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["batched", "two_pass"])
    monkeypatch.setattr(Guidance, "_choose", lambda self, x: next(answers))
    network = Network()
    guided = guide("auto", network)
    for _ in range(3):
        guided(torch.randn(1, 4, 3, 5, 5), torch.ones(1))
    assert guided.chosen == "batched" and [call[0].shape[0] for call in network.calls] == [2, 2, 2]


def test_auto_on_a_cpu_takes_two_passes() -> None:
    guided = guide("auto")
    guided(torch.randn(1, 4, 3, 5, 5), torch.ones(1))
    assert guided.chosen == "two_pass"


def test_estimate_covers_modelscope() -> None:
    """1.6 GiB were counted for a fp16 batch of two at 16 x 32 x 32: with 1.5 GiB free it must not batch."""
    need = 2 * 16 * 32 * 32 * guidance.NUMBERS_PER_POSITION * 2
    assert need > 1.6 * 2**30 and need < 3 * 2**30


SHAPE = (4, 5, 6, 6)


def clip(**options: Any) -> Tensor:
    options = {"shape": SHAPE, "seed": 11, "steps": 6, "uncond": UNCOND, "network": Network(), **options}
    network, uncond = options.pop("network"), options.pop("uncond")
    return sample_clip(network, SCHEDULE, "v", COND, uncond, **options)


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_sample_clip_is_the_parts_joined(sampler: str) -> None:
    sigmas = sigmas_for(SCHEDULE, 6, "karras")
    x = noisy_start(None, initial_noise((1, *SHAPE), 11), sigmas[0], SCHEDULE.sigma_max)
    parts = SAMPLERS[sampler](guide("two_pass"), x, sigmas, seed=11)
    assert torch.equal(clip(spacing="karras", sampler=sampler), parts[0])


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_sample_clip_gives_float32_on_the_cpu(sampler: str) -> None:
    out = clip(sampler=sampler, network=Network(torch.bfloat16))
    assert out.shape == SHAPE and out.dtype == torch.float32 and not out.requires_grad
    double = clip(sampler=sampler, network=Network(torch.float64), dtype=torch.float64)
    torch.testing.assert_close(clip(sampler=sampler), double, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sampler", list(SAMPLERS))
@pytest.mark.parametrize("options", [{}, {"shape": (4, 11, 6, 6), "window": 4, "overlap": 2}])
def test_sample_clip_resumes(sampler: str, options: dict[str, Any]) -> None:
    states: list[SamplerState] = []
    whole = clip(
        sampler=sampler,
        callback=lambda step, steps, x, denoised: states.append(SamplerState(step + 1, x, denoised)),
        **options,
    )
    assert len(states) == 6
    network = Network()
    assert torch.equal(clip(sampler=sampler, resume=states[4], network=network, **options), whole)
    assert len({float(call[1][0]) for call in network.calls}) == 1  # only the last step was computed


def test_long_clips_go_through_windows_from_freenoise() -> None:
    network = Network()
    out = clip(shape=(4, 12, 6, 6), window=5, overlap=2, network=network)
    assert out.shape == (4, 12, 6, 6)
    assert {call[0].shape[2] for call in network.calls} == {5}
    sigmas = sigmas_for(SCHEDULE, 6)
    noise = initial_noise((1, 4, 12, 6, 6), 11, freenoise_window=5, overlap=2)
    x = noisy_start(None, noise, sigmas[0], SCHEDULE.sigma_max)
    assert torch.equal(sample_dpmpp_2m(ContextWindows(guide("two_pass"), 5, 2), x, sigmas)[0], out)
    whole = Network()
    assert torch.equal(clip(window=5, network=whole), clip())
    assert {call[0].shape[2] for call in whole.calls} == {5}


def test_cancel_between_windows() -> None:
    network = Network()

    def stop(index: int, total: int) -> None:
        assert total == 4
        if index == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        clip(shape=(4, 12, 6, 6), window=5, overlap=2, network=network, before_window=stop)
    assert len(network.calls) == 2  # cond and uncond of the first window


def test_denoise_stays_near_the_input() -> None:
    """Video-to-video: the less denoise, the nearer; a network that knows nothing (v of x0 = 0 ...) is not
    needed."""
    latents = torch.randn(SHAPE)
    moved = [float((clip(latents=latents, denoise=d, cfg=1.0) - latents).std()) for d in (0.1, 0.5, 1.0)]
    assert moved[0] < moved[1] < moved[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "heun"}, "ddim, euler"),
        ({"spacing": "beta"}, "normal, karras"),
        ({"steps": 0}, "at least 1"),
        ({"cfg": float("nan")}, "finite"),
        ({"rescale": 2.0}, "rescale"),
        ({"guidance": "both"}, "auto, batched, two_pass"),
        ({"denoise": 0.5}, "without latents"),
        ({"latents": torch.zeros(4, 5, 6, 7), "denoise": 0.5}, r"expected \(4, 5, 6, 6\)"),
        ({"window": 4, "overlap": 4}, "overlap"),
        ({"fuse": "x", "window": 4}, "flat, pyramid"),
        ({"shape": (4, 0, 6, 6)}, "at least 1"),
        ({"seed": -1}, "seed"),
    ],
)
def test_errors_before_the_first_call(options: dict[str, Any], words: str) -> None:
    network = Network()
    with pytest.raises(DiffilmError, match=words) as caught:
        clip(network=network, **options)
    assert not network.calls and "\n" not in str(caught.value)


def test_errors_of_the_network() -> None:
    with pytest.raises(DiffilmError, match="eps, v"):
        Denoiser(Network(), SCHEDULE, "score")
    with pytest.raises(DiffilmError, match="same shape"):
        Denoiser(lambda x, t, c: x[:, :2], SCHEDULE)(torch.zeros(1, 4, 2, 3, 3), torch.ones(1))
    with pytest.raises(DiffilmError, match="step 1 of 6"):
        clip(network=lambda x, t, c, **kw: x * float("nan"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_cuda_gives_the_cpus_clip(sampler: str) -> None:
    """The same noise on both, so the same latents up to rounding; in one batch when there is memory."""
    network = Network(torch.float64).cuda()
    on_gpu = clip(sampler=sampler, network=network, dtype=torch.float64, guidance="auto")
    assert network.calls[0][0].shape[0] == 2
    on_cpu = clip(sampler=sampler, network=Network(torch.float64), dtype=torch.float64)
    torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-6, atol=1e-6)
