"""The fast ways of a training step against the plain one, and what a step must not do."""

import copy
from collections.abc import Callable
from typing import Any

import eva
import pytest
import torch
from torch import nn
from torch.nn import functional

from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings
from clipit_eva.models.losses import distillation_loss
from clipit_eva.models.training import enable_checkpointing, use_fused_kernel

MakeModule = Callable[..., CLIPITModule]
MakeData = Callable[..., eva.DataModule]

TEXT_LORA = LoRASettings(rank=2, text=True)


@pytest.fixture
def source(clip_folder: Any, tmp_path: Any) -> ReportSource:
    """Six reports of one to twelve words: none fills the context, two are cut off."""
    counts = (1, 2, 3, 5, 8, 12)
    lines = [" ".join(["necrosis"] * count) + f" {count}" for count in counts]
    (tmp_path / "reports.txt").write_text("\n".join(lines))
    return ReportSource(
        str(tmp_path / "reports.txt"),
        clip_model=str(clip_folder),
        cache_dir=str(tmp_path / "cache"),
    )


@pytest.fixture
def make(make_module: MakeModule) -> MakeModule:
    """Returns a function that makes a module as it is when training starts."""

    def ready(**arguments: Any) -> CLIPITModule:
        torch.manual_seed(1)
        module = make_module(**arguments)
        module.configure_model()
        module.log = lambda *args, **kwargs: None  # no trainer here
        module.reports = module._build_reports()
        for name, parameter in module.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter, std=0.1)  # zero lets no gradient reach A
        return module.train()

    return ready


@pytest.fixture
def batch(make_data: MakeData) -> list[Any]:
    """Eight images, each on two of six reports."""
    data = make_data()
    data.setup("fit")
    torch.manual_seed(0)
    return list(next(iter(data.train_dataloader())))


def plain_loss(module: CLIPITModule, batch: list[Any], source: ReportSource) -> torch.Tensor:
    """The loss with every row encoded in full length by the text encoder, without any cache."""
    images, targets, metadata = batch
    tokens = source.load_clip().tokenize(source.corpus().texts)
    encoder = copy.copy(source.load_clip().text_encoder)
    if module.reports is not None and hasattr(module.reports, "encoder"):
        encoder.tower = module.reports.encoder.tower  # with its LoRA
    rows = metadata["report_index"]
    each = torch.stack([torch.cat([encoder(tokens[i : i + 1]) for i in row]) for row in rows])
    text = (each * metadata["report_weight"].unsqueeze(-1)).sum(1)
    outputs = module.heads(module.backbone(images))
    return functional.cross_entropy(outputs.fused, targets) + distillation_loss(
        outputs.projected, text
    )


def gradients(module: CLIPITModule, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    module.zero_grad()
    loss.backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("lora", [LoRASettings(rank=2), TEXT_LORA], ids=["frozen text", "lora"])
def test_fast_step_equals_the_plain_one_in_loss_and_gradients(
    make: MakeModule, batch: list[Any], source: ReportSource, lora: LoRASettings
) -> None:
    module = make(lora=lora)
    fast = module.training_step(batch)["loss"]
    fast_gradients = gradients(module, fast)
    plain = plain_loss(module, batch, source)
    plain_gradients = gradients(module, plain)
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-5)
    trained = {name for name, p in module.named_parameters() if p.requires_grad}
    assert fast_gradients.keys() == plain_gradients.keys() == trained
    assert any(name.startswith("reports.") for name in trained) == lora.text
    for name, gradient in fast_gradients.items():
        assert gradient.any(), name
        torch.testing.assert_close(gradient, plain_gradients[name], rtol=0, atol=1e-5)


def test_word_dropout_that_leaves_no_word_out_equals_the_plain_step(
    make: MakeModule, batch: list[Any], source: ReportSource
) -> None:
    module = make(word_dropout=1e-9)
    fast = module.training_step(batch)["loss"]
    torch.testing.assert_close(fast, plain_loss(module, batch, source), rtol=0, atol=1e-5)


def test_only_needed_tokens_of_distinct_reports_reach_the_encoder(
    make: MakeModule, source: ReportSource
) -> None:
    module = make(lora=TEXT_LORA)
    tokens = source.load_clip().tokenize(source.corpus().texts)
    ends = tokens.argmax(dim=1) + 1
    assert ends[:3].tolist() == sorted(set(ends[:3].tolist()))
    assert ends[2] < tokens.shape[1]
    seen: list[torch.Tensor] = []
    module.reports.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module.reports(torch.tensor([[2, 0], [0, 2], [2, 2]]))
    assert torch.equal(seen[0], tokens[[0, 2], : ends[2]])
    module.reports(torch.tensor([[0], [0]]))
    assert torch.equal(seen[1], tokens[[0], : ends[0]])


def test_each_report_is_tokenized_once_a_run_and_when_it_is_read(source: ReportSource) -> None:
    from clipit_eva.models.report_tokens import ReportTokens

    texts, clip = source.corpus().texts, source.load_clip()
    read: list[str] = []

    def tokenize(given: Any) -> torch.Tensor:
        read.extend(given)
        return clip.tokenize(given)

    tokens = ReportTokens(texts, tokenize)
    everything = clip.tokenize(texts)
    for places in ([4, 1], [1, 2], [4, 2, 1], [0]):
        assert torch.equal(tokens.read(torch.tensor(places)), everything[places])
    assert read == [texts[place] for place in (4, 1, 2, 0)]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"lora": TEXT_LORA}, {"word_dropout": 0.3}, {"lora": TEXT_LORA, "top_k": 1}],
    ids=["frozen text", "text lora", "word dropout", "text lora, one report"],
)
def test_a_step_waits_for_no_device(
    make: MakeModule, make_data: MakeData, arguments: dict[str, Any]
) -> None:
    """Tensors on torch's "meta" device have no values: whatever asks for one fails."""
    data = make_data(top_k=arguments.pop("top_k", 2))
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    module = make(**arguments)
    module._lora_checked = True  # at the first step only
    meta = torch.device("meta")
    module.to(meta)
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    moved = module.transfer_batch_to_device(batch, meta, 0)
    assert moved[0].is_meta
    loss = module.training_step(moved)["loss"]
    assert loss.is_meta
    loss.backward()
    optimizer.step()
    with pytest.raises((RuntimeError, NotImplementedError)):
        loss.item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("lora", [LoRASettings(rank=2), TEXT_LORA], ids=["frozen text", "lora"])
def test_a_step_waits_for_no_gpu(make: MakeModule, batch: list[Any], lora: LoRASettings) -> None:
    module = make(lora=lora).cuda()
    moved = module.transfer_batch_to_device(batch, torch.device("cuda"), 0)
    module.training_step(moved)  # checks LoRA, once
    torch.cuda.set_sync_debug_mode("error")
    try:
        module.training_step(moved)["loss"].backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_text_is_a_constant_without_text_gradient(make: MakeModule, batch: list[Any]) -> None:
    with_text, without = make(lora=TEXT_LORA), make(lora=TEXT_LORA, text_gradient=False)
    without.load_state_dict(with_text.state_dict())
    losses = [module.training_step(batch)["loss"] for module in (with_text, without)]
    assert torch.equal(*losses)
    expected, found = (
        gradients(module, loss) for module, loss in zip((with_text, without), losses, strict=True)
    )
    assert {name for name in expected if name not in found} == {
        name for name, p in without.named_parameters() if p.requires_grad and "reports." in name
    }
    for name, gradient in found.items():
        assert torch.equal(gradient, expected[name]), name


def test_without_text_gradient_the_text_encoder_stays_as_it_was(fitted: Any) -> None:
    changed = {}
    for text_gradient in (True, False):
        *_, watch = fitted(lora=TEXT_LORA, text_gradient=text_gradient)
        state = torch.load(watch.best, weights_only=True)["state_dict"]
        text = [t for name, t in state.items() if name.startswith("reports.") and "lora_B" in name]
        assert text
        changed[text_gradient] = [bool(tensor.any()) for tensor in text]
    assert all(changed[True])
    assert not any(changed[False])


def test_checkpointing_recomputes_and_changes_no_gradient(
    make: MakeModule, batch: list[Any]
) -> None:
    calls = {True: 0, False: 0}
    found = []
    for checkpointing in (False, True):
        module = make(lora=TEXT_LORA, gradient_checkpointing=checkpointing)
        module._lora_checked = True
        blocks = [
            module.backbone.blocks[0],
            module.reports.encoder.tower.transformer.resblocks[0],
        ]
        for block in blocks:

            def count(*_: Any, checkpointing: bool = checkpointing) -> None:
                calls[checkpointing] += 1

            block.register_forward_pre_hook(count)
        loss = module.training_step(batch)["loss"]
        found.append((loss.detach(), gradients(module, loss)))
    assert calls == {False: 2, True: 4}
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)


def test_an_encoder_without_checkpointing_is_named() -> None:
    with pytest.raises(InputError, match="GRADIENT_CHECKPOINTING=true: Linear cannot do it"):
        enable_checkpointing(nn.Linear(2, 2))


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_fused_adam_takes_the_same_steps(kind: type[torch.optim.Adam]) -> None:
    weights = []
    for fused in (False, True, True):
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
        optimizer = kind(layers.parameters(), lr=0.01, weight_decay=1e-4)
        if fused:
            use_fused_kernel(optimizer)
        assert bool(optimizer.param_groups[0]["fused"]) == fused
        for _ in range(20):
            optimizer.zero_grad()
            layers(torch.ones(4, 5)).square().sum().backward()
            optimizer.step()
        weights.append([parameter.detach() for parameter in layers.parameters()])
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(weights[1], weights[2], strict=True))


def test_another_choice_of_kernel_stays() -> None:
    parameter = nn.Parameter(torch.ones(2))
    for optimizer in (
        torch.optim.Adam([parameter], foreach=True),
        torch.optim.Adam([parameter], fused=False),
        torch.optim.SGD([parameter]),
    ):
        use_fused_kernel(optimizer)
        assert not optimizer.param_groups[0]["fused"]


def test_mixed_precision_trains_with_clipped_gradients(
    make_module: MakeModule, make_data: MakeData, make_trainer: Any
) -> None:
    for arguments in ({}, {"lora": TEXT_LORA}):
        torch.manual_seed(1)
        module = make_module(**arguments)
        trainer = make_trainer(max_epochs=1, precision="bf16-mixed", gradient_clip_val=0.5)
        trainer.fit(module, datamodule=make_data())
        adapted = [p for name, p in module.named_parameters() if "lora_B" in name]
        assert all(p.dtype == torch.float32 and p.any() and p.isfinite().all() for p in adapted)
        assert trainer.optimizers[0].param_groups[0]["fused"]
