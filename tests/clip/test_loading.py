import copy
import json
import pickle
import shutil

import open_clip
import pytest
import safetensors.torch
import torch
from PIL import Image

from clipit_eva.clip.loading import load_clip, load_preprocess
from clipit_eva.errors import InputError

TEXTS = ["Adenocarcinoma, pT3 N1.", "benign", "", "word " * 100]


def random_image(width=50, height=41):
    generator = torch.Generator().manual_seed(width)
    pixels = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


def test_embeddings_are_those_of_open_clip(tiny_folder, reference):
    clip = load_clip(str(tiny_folder))
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    tokens = open_clip.SimpleTokenizer(context_length=20)(TEXTS)
    with torch.no_grad():
        torch.testing.assert_close(
            clip.image_encoder(images), reference.encode_image(images, normalize=True)
        )
        torch.testing.assert_close(
            clip.text_encoder(tokens), reference.encode_text(tokens, normalize=True)
        )
    assert torch.equal(clip.tokenize(TEXTS), tokens)
    assert (clip.embed_dim, clip.context_length) == (16, 20)


def test_the_encoders_are_frozen_float32_modules_without_each_others_weights(tiny_folder):
    clip = load_clip(f"local-dir:{tiny_folder}")
    for encoder in (clip.image_encoder, clip.text_encoder):
        assert not encoder.training
        assert all(not p.requires_grad and p.dtype == torch.float32 for p in encoder.parameters())
    text = {name for name, _ in clip.text_encoder.named_parameters()}
    assert not any("visual" in name or "conv" in name for name in text)
    assert "tower.transformer.resblocks.0.mlp.c_fc.weight" in text
    block = clip.text_encoder.get_submodule("tower.transformer.resblocks.0")
    assert isinstance(block.get_submodule("attn"), torch.nn.MultiheadAttention)
    sizes = [
        sum(p.numel() for p in e.parameters()) for e in (clip.image_encoder, clip.text_encoder)
    ]
    temperature = 1
    file = safetensors.torch.load_file(tiny_folder / "open_clip_model.safetensors")
    assert sum(sizes) + temperature == sum(value.numel() for value in file.values())


def test_a_shorter_row_gives_the_bit_identical_embedding(tiny_folder):
    clip = load_clip(str(tiny_folder))
    tokens = clip.tokenize(["a short report"])
    length = int((tokens[0] != 0).sum())
    assert length < clip.context_length
    assert torch.equal(clip.text_encoder(tokens[:, :length]), clip.text_encoder(tokens))
    with pytest.raises(ValueError, match="do not fit a context of 20"):
        clip.text_encoder(torch.ones(1, 21, dtype=torch.int64))


def test_no_texts_give_no_rows(tiny_folder):
    assert load_clip(str(tiny_folder)).tokenize([]).shape == (0, 20)


def test_the_text_tower_that_reads_its_last_position_sees_the_padded_row(write_folder):
    architecture = json.loads(json.dumps(architecture_pooling("last")))
    clip = load_clip(str(write_folder(architecture=architecture)))
    tokens = clip.tokenize(["short"])
    assert torch.equal(clip.text_encoder(tokens[:, :5]), clip.text_encoder(tokens))
    tower = clip.text_encoder.get_submodule("tower")
    assert not torch.equal(tower(tokens[:, :5]), tower(tokens))


def architecture_pooling(pool_type):
    unmasked = {"no_causal_mask": True, "pool_type": pool_type}
    return {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "patch_size": 8,
            "width": 32,
            "head_width": 16,
            "layers": 1,
        },
        "text_cfg": {"context_length": 20, "width": 24, "heads": 2, "layers": 1, **unmasked},
    }


@pytest.mark.parametrize("size", [(50, 41), (32, 32), (20, 64)])
def test_preprocessing_is_open_clips(tiny_folder, size):
    image = random_image(*size)
    _, _, expected = open_clip.create_model_and_transforms(f"local-dir:{tiny_folder}")
    assert torch.equal(load_preprocess(str(tiny_folder))(image), expected(image))
    assert torch.equal(load_clip(str(tiny_folder)).preprocess(image), expected(image))


def test_preprocessing_of_the_folders_own_statistics_needs_no_weights(write_folder):
    own = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"}
    folder = write_folder(preprocessing=own)
    (folder / "open_clip_model.safetensors").unlink()
    preprocess = pickle.loads(pickle.dumps(load_preprocess(str(folder))))
    black = preprocess(Image.new("RGB", (60, 20)))
    assert black.shape == (3, 32, 32)
    torch.testing.assert_close(black[:, 0, 0], torch.tensor([-0.2, -0.4, -0.6]))


def test_preprocessing_of_an_architecture_follows_the_pretrained_tag():
    white = Image.new("RGB", (8, 8), "white")
    openai = load_preprocess("ViT-B-16", "openai")(white)
    siglip = load_preprocess("ViT-B-16-SigLIP", "webli")(white)
    assert openai[0, 0, 0] != siglip[0, 0, 0] == 1.0


def test_an_architecture_by_name_with_a_checkpoint_file(tmp_path, tiny_folder):
    path = tmp_path / "architectures" / "tiny-by-name.json"
    path.parent.mkdir()
    config = json.loads((tiny_folder / "open_clip_config.json").read_text())["model_cfg"]
    path.write_text(json.dumps(config))
    open_clip.add_model_config(path)
    state = safetensors.torch.load_file(tiny_folder / "open_clip_model.safetensors")
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "weights.pt")

    by_name = load_clip("tiny-by-name", str(tmp_path / "weights.pt"))
    by_folder = load_clip(str(tiny_folder))
    assert by_name.identity["weights"] == by_folder.identity["weights"]
    assert by_name.identity["model"] == "tiny-by-name"


def test_identity_tells_weights_architecture_and_preprocessing_apart(write_folder, reference):
    changed = copy.deepcopy(reference.state_dict())
    changed["ln_final.bias"][0] += 1e-6
    base = load_clip(str(write_folder("base"))).identity
    again = load_clip(str(write_folder("again"))).identity
    assert {k: v for k, v in base.items() if k != "model"} == {
        k: v for k, v in again.items() if k != "model"
    }
    others = {
        "weights": write_folder("w", weights=changed),
        "preprocessing": write_folder("p", preprocessing={"interpolation": "bilinear"}),
        "architecture": write_folder("a", architecture={**TINY_QUICK}),
    }
    for key, folder in others.items():
        identity = load_clip(str(folder)).identity
        assert [k for k in base if identity[k] != base[k]] == ["model", key]
    assert all(isinstance(value, str) and "\n" not in value for value in base.values())


TINY_QUICK = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 2},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 2},
    "quick_gelu": True,
}


def test_loading_leaves_the_random_state_alone(tiny_folder):
    before = torch.get_rng_state()
    load_clip(str(tiny_folder))
    assert torch.equal(torch.get_rng_state(), before)


def message(*args):
    with pytest.raises(InputError) as caught:
        load_clip(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_architecture_without_a_checkpoint_is_refused_with_its_tags():
    text = message("ViT-B-16")
    assert "needs a checkpoint" in text
    assert all(tag in text for tag in open_clip.list_pretrained_tags_by_model("ViT-B-16"))


def test_an_unknown_tag_is_refused_with_near_ones():
    assert "did you mean openai" in message("ViT-B-16", "opena")


@pytest.mark.parametrize(
    ("model", "near"),
    [("vit-b-61", "ViT-B-16"), ("wisdomik/QuiltNet-B-32", "hf-hub:wisdomik/QuiltNet-B-32")],
)
def test_an_unknown_model_is_refused_with_near_names(model, near):
    text = message(model)
    assert repr(model) in text
    assert near in text


def test_a_weight_file_as_model_is_refused(tiny_folder):
    path = tiny_folder / "open_clip_model.safetensors"
    assert "give its architecture as the model" in message(str(path))


def test_folders_that_are_no_models_are_refused(tmp_path, write_folder):
    assert "does not exist" in message(f"local-dir:{tmp_path / 'absent'}")
    assert "has neither open_clip_config.json nor config.json" in message(str(tmp_path))
    folder = write_folder("broken")
    (folder / "open_clip_config.json").write_text("{")
    assert "not valid JSON" in message(str(folder))
    (folder / "open_clip_config.json").write_text('{"model_cfg": {"embed_dim": 4}}')
    assert "lacks 'vision_cfg'" in message(str(folder))


def test_a_folder_without_or_with_ambiguous_weights_is_refused(tiny_folder):
    weights = tiny_folder / "open_clip_model.safetensors"
    weights.rename(tiny_folder / "a.safetensors")
    assert load_clip(str(tiny_folder)).embed_dim == 16
    shutil.copy(tiny_folder / "a.safetensors", tiny_folder / "b.safetensors")
    assert "a.safetensors, b.safetensors" in message(str(tiny_folder))
    (tiny_folder / "a.safetensors").unlink()
    (tiny_folder / "b.safetensors").unlink()
    assert "holds no weight file" in message(str(tiny_folder))


def test_a_checkpoint_of_another_architecture_is_refused(tiny_folder, write_folder):
    other = write_folder("other", architecture={**TINY_QUICK, "embed_dim": 8})
    path = other / "open_clip_model.safetensors"
    text = message(str(tiny_folder), str(path))
    assert str(path) in text
    assert "does not fit the model's architecture" in text


def test_position_embeddings_of_another_size_are_not_stretched_silently(tiny_folder, reference):
    state = copy.deepcopy(reference.state_dict())
    state["positional_embedding"] = torch.zeros(30, 24)
    path = tiny_folder / "longer.safetensors"
    safetensors.torch.save_file(state, path)
    assert "'text.positional_embedding' has shape (30, 24)" in message(str(tiny_folder), str(path))


class Payload:
    def __reduce__(self):
        return (print, ("code from a checkpoint ran",))


def test_damaged_and_unsafe_checkpoints_are_refused(tiny_folder, capsys):
    path = tiny_folder / "checkpoint.bin"
    path.write_bytes(b"not a checkpoint")
    assert str(path) in message(str(tiny_folder), str(path))
    torch.save({"state_dict": {}, "arguments": Payload()}, path)
    assert "cannot be loaded safely" in message(str(tiny_folder), str(path))
    assert "code from a checkpoint ran" not in capsys.readouterr().out
    torch.save([1, 2], path)
    assert "save a state dict" in message(str(tiny_folder), str(path))
    torch.save({}, path)
    assert "holds no weights" in message(str(tiny_folder), str(path))
    whole = (tiny_folder / "open_clip_model.safetensors").read_bytes()
    cut = tiny_folder / "cut.safetensors"
    cut.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in message(str(tiny_folder), str(cut))
    assert "does not exist" in message(str(tiny_folder), "absent.bin")


def test_a_repository_that_is_not_cached_says_how_to_get_it():
    text = message("hf-hub:wisdomik/QuiltNet-B-32")
    assert "hf download wisdomik/QuiltNet-B-32" in text
    assert "not a Hugging Face repository name" in message("hf-hub:a/b/c")
