"""Makes a small Janus as it is downloaded, and what it draws, by the `transformers` library in float32.

    python3 -m venv .build/venv && .build/venv/bin/pip install torch transformers tokenizers
    .build/venv/bin/python Tests/Fixtures/make_janus_fixtures.py

Weights are whole multiples of 1/256 below 1/2 and those of norms of 1/64 about 1, so that bfloat16 and float16 hold them exactly.
"""

import json
import pathlib
import shutil

import tokenizers
import torch
from safetensors.torch import load_file, save_file
from transformers import JanusConfig, JanusForConditionalGeneration

FOLDER = pathlib.Path(__file__).parent / "janus"
SIDE, CODES = 4, 64
CAPTIONS = ["a red heart", "Zwei Häuser, 3 신호등\nunder 12  clouds", ""]
BARS = "｜"
SPECIAL = [f"<{BARS}begin▁of▁sentence{BARS}>", f"<{BARS}end▁of▁sentence{BARS}>", f"<{BARS}▁pad▁{BARS}>", "<|User|>",
           "<|Assistant|>", "<begin_of_image>", "<end_of_image>", "<image_placeholder>"]


def make_tokenizer():
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    pre = tokenizers.pre_tokenizers
    tokenizer.pre_tokenizer = pre.Sequence([
        pre.Split(tokenizers.Regex("[\r\n]"), "isolated"), pre.Split(tokenizers.Regex(r"\s?\p{L}+"), "isolated"),
        pre.Split(tokenizers.Regex(r"\s?\p{P}+"), "isolated"), pre.Split(tokenizers.Regex(r"\s+$"), "isolated"),
        pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=290, initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(["a red heart under a cloud", "the red hearts are under clouds", ": a photo of a "] * 9, trainer)
    tokenizer.add_special_tokens([tokenizers.AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    return tokenizer


def make_model(tokenizer):
    ids = {t: tokenizer.token_to_id(t) for t in SPECIAL}
    config = JanusConfig(
        text_config=dict(
            model_type="llama", vocab_size=320, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=512, rms_norm_eps=1e-6,
            pad_token_id=ids[SPECIAL[2]], bos_token_id=ids[SPECIAL[0]], eos_token_id=ids[SPECIAL[1]]),
        vision_config=dict(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=2 * SIDE, patch_size=2,
            projection_dim=64, num_image_tokens=SIDE * SIDE),
        vq_config=dict(
            embed_dim=8, num_embeddings=CODES, latent_channels=32, base_channels=32, channel_multiplier=[1, 1],
            num_res_blocks=1, num_patches=SIDE, projection_dim=64, image_token_embed_dim=64),
        image_token_id=ids["<image_placeholder>"])
    model = JanusForConditionalGeneration(config).eval()
    generator = torch.Generator().manual_seed(7)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if p.dim() == 1 and name.endswith("weight"):
            p.data = 1 + (noise * 8).round().clamp(-31, 31) / 64
        else:
            fan_in = p[0].numel() if p.dim() > 1 and "embed" not in name else 16
            p.data = (noise * 256 / fan_in**0.5).round().clamp(-127, 127) / 256
    model.generation_config.guidance_scale = 5
    model.generation_config.temperature = 1.0
    model.generation_config.generation_kwargs = {"boi_token_id": ids["<begin_of_image>"]}
    model.generation_config.do_sample = True
    return model, ids


def prompt(caption):
    return f"<|User|>: {caption.strip()}\n\n<|Assistant|>:<begin_of_image>"


@torch.inference_mode()
def expected(model, tokenizer, ids, caption):
    text = [ids[SPECIAL[0]]] + tokenizer.encode(prompt(caption), add_special_tokens=False).ids
    empty = [t if t in (ids[SPECIAL[0]], ids["<begin_of_image>"]) else ids[SPECIAL[2]] for t in text]
    inner = model.model
    out = inner.language_model(input_ids=torch.tensor([text, empty]), use_cache=False).last_hidden_state
    logits = inner.generation_head(out[:, -1])
    model.generation_config.do_sample = False
    drawn = model.generate(
        input_ids=torch.tensor([text]), attention_mask=torch.ones(1, len(text), dtype=torch.long),
        generation_mode="image", do_sample=False)[0]
    pixels = model.decode_image_tokens(drawn[None])[0]
    return dict(
        caption=caption, text=text, hidden=out[:, -1].tolist(), logits=logits.tolist(), tokens=drawn.tolist(),
        pixels=[round(x, 5) for x in (pixels.flatten() / 2 + 0.5).tolist()])


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    tokenizer = make_tokenizer()
    model, ids = make_model(tokenizer)
    model.save_pretrained(FOLDER)
    tokenizer.save(str(FOLDER / "tokenizer.json"))
    weights = load_file(FOLDER / "model.safetensors")
    save_file({k: v.to(torch.bfloat16).contiguous() for k, v in weights.items()}, FOLDER / "model.safetensors")
    for k, v in weights.items():
        if "num_batches" not in k: assert torch.equal(v, v.to(torch.bfloat16).float()), k
    results = [expected(model, tokenizer, ids, c) for c in CAPTIONS]
    (FOLDER / "expected.json").write_text(json.dumps(results))


main()
