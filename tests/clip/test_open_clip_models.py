"""The kinds of open_clip models beside plain CLIP, against open_clip itself."""

import json

import open_clip
import pytest
import safetensors.torch
import torch
import transformers

from clipit_eva.clip.loading import load_clip
from clipit_eva.errors import InputError

VISION = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 1}
TEXT = {"context_length": 20, "width": 24, "heads": 2, "layers": 1}
TEXTS = ["colon mucosa", "", "mucosa " * 40]


def write(folder, architecture):
    """Writes a random model as open_clip makes it, and returns open_clip's reading of it."""
    folder.mkdir(exist_ok=True)
    config = {"model_cfg": architecture, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.create_model(f"local-dir:{folder}", pretrained_text=False)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    safetensors.torch.save_file(state, folder / "open_clip_model.safetensors")
    return open_clip.create_model(f"local-dir:{folder}").eval()


def check(folder, reference, tokens, size=32):
    clip = load_clip(str(folder))
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            clip.image_encoder(images), reference.encode_image(images, normalize=True)
        )
        torch.testing.assert_close(
            clip.text_encoder(tokens), reference.encode_text(tokens, normalize=True)
        )
    return clip


def test_coca_without_its_decoder(tmp_path):
    architecture = {
        "embed_dim": 16,
        "vision_cfg": {
            **VISION,
            "attentional_pool": True,
            "attn_pooler_heads": 2,
            "attn_pooler_queries": 4,
            "output_tokens": True,
        },
        "text_cfg": {**TEXT, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {**TEXT, "attn_pooler_heads": 2},
        "custom_text": True,
    }
    reference = write(tmp_path / "coca", architecture)
    tokens = open_clip.SimpleTokenizer(context_length=20)(TEXTS)
    clip = check(tmp_path / "coca", reference, tokens)
    assert not any("decoder" in name for name, _ in clip.text_encoder.named_parameters())
    short = tokens[:1, :6]
    assert torch.equal(clip.text_encoder(short), clip.text_encoder(tokens[:1]))


@pytest.fixture
def biomedclip_like(tmp_path):
    """A timm image tower and a BERT text tower with a tokenizer of its own, as BiomedCLIP has."""
    bert = tmp_path / "bert"
    config = transformers.BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    config.save_pretrained(bert)
    folder = tmp_path / "biomedclip-like"
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "colon", "mucosa"]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer.from_pretrained(folder).save_pretrained(folder)
    architecture = {
        "embed_dim": 16,
        "vision_cfg": {
            "timm_model_name": "vit_tiny_patch16_224",
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": 224,
        },
        "text_cfg": {
            "hf_model_name": str(bert),
            "hf_tokenizer_name": "in the folder",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "hf_proj_type": "mlp",
            "context_length": 20,
        },
    }
    return folder, write(folder, architecture)


def test_a_bert_text_tower_with_its_own_tokenizer(biomedclip_like):
    folder, reference = biomedclip_like
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
    clip = check(folder, reference, tokens, size=224)
    assert torch.equal(clip.tokenize(TEXTS), tokens)
    assert clip.tokenize([]).shape == (0, 20)
    short = tokens[:1, :4]
    assert torch.equal(clip.text_encoder(short), clip.text_encoder(tokens[:1]))


def test_a_missing_or_unfit_tokenizer_is_refused(biomedclip_like, tmp_path):
    folder, _ = biomedclip_like
    with pytest.raises(InputError, match=r"tokenizer .*absent cannot be loaded"):
        load_clip(str(folder), tokenizer=str(tmp_path / "absent"))
    larger = tmp_path / "larger"
    larger.mkdir()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (larger / "vocab.txt").write_text("\n".join([*special, *(f"w{i}" for i in range(30))]))
    transformers.BertTokenizer.from_pretrained(larger).save_pretrained(larger)
    with pytest.raises(InputError, match="has 35 tokens, but CLIP model biomedclip-like knows 30"):
        load_clip(str(folder), tokenizer=str(larger))
    for file in folder.glob("*token*"):
        file.unlink()
    (folder / "vocab.txt").unlink(missing_ok=True)
    with pytest.raises(InputError, match=f"biomedclip-like cannot be .*{folder} should hold tok"):
        load_clip(str(folder))


def test_weights_of_a_quick_gelu_tag_are_read_with_quick_gelu():
    from clipit_eva.clip.open_clip_models import from_architecture

    assert from_architecture("ViT-B-16", "openai").architecture["quick_gelu"]
    assert not from_architecture("ViT-B-16", "laion2b_s34b_b88k").architecture.get("quick_gelu")


def test_an_architecture_that_cannot_be_built_is_refused(tmp_path):
    write(tmp_path / "model", {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT})
    path = tmp_path / "model" / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["vision_cfg"]["unheard_of"] = 1
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"CLIP model model cannot be built: .*unheard_of"):
        load_clip(str(tmp_path / "model"))


def test_openai_weights_are_not_read_with_gelu(tmp_path, monkeypatch):
    """Their file says whose they are by three sizes, and never that they want QuickGELU."""
    sizes = {"embed_dim": 32, "vision_cfg": VISION, "text_cfg": {**TEXT, "vocab_size": 49408}}
    named = {"tiny-openai": sizes, "tiny-openai-quickgelu": {**sizes, "quick_gelu": True}}
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", named)
    made = open_clip.CLIP(**json.loads(json.dumps(named["tiny-openai-quickgelu"])))
    extra = {"input_resolution": 32, "context_length": 20, "vocab_size": 49408}
    state = {**made.state_dict(), **{name: torch.tensor(size) for name, size in extra.items()}}
    state.pop("attn_mask", None)
    torch.save(state, tmp_path / "openai.pt")
    with pytest.raises(InputError, match="name the architecture tiny-openai-quickgelu"):
        load_clip("tiny-openai", str(tmp_path / "openai.pt"))
    clip = load_clip("tiny-openai-quickgelu", str(tmp_path / "openai.pt"))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = made.eval().encode_image(images, normalize=True)
        torch.testing.assert_close(clip.image_encoder(images), expected)
