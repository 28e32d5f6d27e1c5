"""Whether what was learned is published as an adapter, or as a whole model. Pure.

vLLM serves adapters only of architectures whose code says so (`SupportsLoRA`). An adapter of another one
would be a model that nobody can talk to: it is merged into its base, and published as a whole model. The
names are kept here, and not asked of vLLM, because a trainer has no vLLM.
"""

from typing import Literal

WITH_LORA = frozenset(
    """
    AXK1ForCausalLM AfmoeForCausalLM ApertusForCausalLM ArceeForCausalLM BailingMoeForCausalLM
    BailingMoeV2ForCausalLM Cohere2ForCausalLM CohereForCausalLM CwmForCausalLM DeciLMForCausalLM
    DeepseekForCausalLM DeepseekV2ForCausalLM DeepseekV3ForCausalLM Ernie4_5ForCausalLM
    Ernie4_5_MoeForCausalLM Exaone4ForCausalLM ExaoneForCausalLM ExaoneMoEForCausalLM
    ExaoneMoeForCausalLM FalconH1ForCausalLM FlexOlmoForCausalLM GPTBigCodeForCausalLM
    GPTNeoXForCausalLM Gemma2ForCausalLM Gemma3ForCausalLM Gemma4ForCausalLM GemmaForCausalLM
    Glm4ForCausalLM Glm4MoeForCausalLM Glm4MoeLiteForCausalLM GlmForCausalLM GlmMoeDsaForCausalLM
    GptOssForCausalLM GraniteForCausalLM GraniteMoeForCausalLM GraniteMoeHybridForCausalLM
    GraniteMoeSWAForCausalLM GraniteMoeSharedForCausalLM GraniteSWAForCausalLM HYV3ForCausalLM
    HunYuanDenseV1ForCausalLM HunYuanMoEV1ForCausalLM HyperCLOVAXForCausalLM IQuestCoderForCausalLM
    InternLM2ForCausalLM InternLM3ForCausalLM Jais2ForCausalLM JambaForCausalLM K2HorizonForCausalLM
    LLaMAForCausalLM LagunaForCausalLM Lfm2ForCausalLM Lfm2MoeForCausalLM Llama4ForCausalLM
    LlamaForCausalLM LongcatFlashForCausalLM LongcatFlashNgramForCausalLM MellumForCausalLM
    MiMoForCausalLM MiniCPM3ForCausalLM MiniCPMForCausalLM MiniMaxM2ForCausalLM
    Ministral3ForCausalLM MistralForCausalLM MistralLarge3ForCausalLM MixtralForCausalLM
    MuseGlimmerForCausalLM NanbeigeForCausalLM NemotronForCausalLM NemotronHForCausalLM
    NemotronHPuzzleForCausalLM OPTForCausalLM Olmo2ForCausalLM Olmo3ForCausalLM OlmoForCausalLM
    OlmoHybridForCausalLM OlmoeForCausalLM PanguEmbeddedForCausalLM PanguProMoEV2ForCausalLM
    PanguUltraMoEForCausalLM Param2MoEForCausalLM Phi3ForCausalLM PhiForCausalLM PhiMoEForCausalLM
    Plamo3ForCausalLM Qwen2ForCausalLM Qwen2MoeForCausalLM Qwen3ForCausalLM Qwen3MoeForCausalLM
    Qwen3NextForCausalLM Qwen3_5ForCausalLM Qwen3_5MoeForCausalLM Rnj1ForCausalLM
    SarvamMLAForCausalLM SarvamMoEForCausalLM SeedOssForCausalLM SmolLM3ForCausalLM SolarForCausalLM
    Starcoder2ForCausalLM TeleChat2ForCausalLM TeleChat3ForCausalLM TeleFLMForCausalLM
    VaultGemmaForCausalLM
    """.split()  # noqa: SIM905 - a name a line would be a hundred lines
)
"""Architectures that write text and whose adapters vLLM 0.32.0 serves, by their names in `config.json`: those
of its own code, and those that it runs through transformers' code by name."""


def serves_lora(architecture: str) -> bool:
    """Whether inference can serve adapters of a base with this architecture; not of one nobody knows."""
    return architecture in WITH_LORA


def form_of(method: Literal["lora", "qlora", "full"], architecture: str) -> Literal["adapter", "whole"]:
    """In which form the result is published; `whole` after `lora` means that it has to be merged first."""
    return "adapter" if method != "full" and serves_lora(architecture) else "whole"
