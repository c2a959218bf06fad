"""Every key of a recipe: its type, its default and what it does."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from vlc_core.options.use import Use

__all__ = [
    "Checkpoint",
    "Data",
    "Evaluate",
    "Evaluator",
    "Head",
    "Model",
    "Momentum",
    "Objective",
    "Optimizer",
    "Recipe",
    "Schedule",
    "Source",
    "Temperature",
    "Tower",
    "Train",
    "Use",
]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=120)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


def _short(values: dict[str, Any]) -> str:
    return str(values["use"]).rpartition("/")[2]


class Section(BaseModel):
    """A mapping of the recipe: strict types, no unknown keys, never changed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Objective(Use):
    """A loss, with its weight in the sum; the other keys are the objective's own options."""

    name: Name = Field(default_factory=_short, description="What metrics call it; the component's name by default.")
    weight: Annotated[FiniteFloat, Field(ge=0)] = Field(default=1.0, description="Its factor in the sum of losses.")


class Source(Use):
    """A training dataset; the other keys are the dataset's own options."""

    name: Name = Field(default_factory=_short, description="What reports call it; the component's name by default.")
    prompts: str | list[str] | None = Field(
        default=None,
        description="Templates that make a text of a class name, for samples without text: the name of a "
        "set, a template with `{}`, or a list of templates. By default the class name itself.",
    )
    share: Positive | None = Field(
        default=None,
        description="Its part of every batch, for samplers that read it: 0.25 is a quarter. Sources without one "
        "divide what is left; where every source has one, only their ratio counts.",
    )


class Evaluator(Use):
    """An evaluation; the other keys are the evaluator's own options."""

    name: Name = Field(default_factory=_short, description="What its results are filed under.")


class Temperature(Section):
    """The temperature that similarities are divided by; the logit scale is 1/temperature."""

    init: Positive = Field(default=0.07, description="At the start.")
    min: Positive = Field(default=0.01, description="The lower bound, kept after every step.")
    max: Positive = Field(default=1.0, description="The upper bound, kept after every step.")
    learn: bool = Field(default=True, description="Whether it is trained.")
    learn_as: Literal["log_scale", "temperature"] = Field(
        default="log_scale",
        description="What the trained number is: log(1/temperature), or the temperature itself.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Temperature:
        if not self.min <= self.init <= self.max:
            raise ValueError(f"min ≤ init ≤ max must hold, here {self.min} ≤ {self.init} ≤ {self.max}")
        return self


class Head(Use):
    """The layers between an encoder's summary and the shared space."""

    model_config = ConfigDict(extra="forbid")

    use: Literal["linear", "mlp", "none"] = Field(
        default="linear",
        description="One matrix, a perceptron, or nothing: the encoder is then as wide as the shared space.",
    )
    hidden: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="Of `mlp`: the width between its layers; by default the encoder's."
    )
    layers: Annotated[int, Field(ge=2, le=16)] = Field(default=2, description="Of `mlp`: how many matrices.")
    activation: Literal["gelu", "relu"] = Field(default="gelu", description="Of `mlp`: what stands between them.")

    @model_validator(mode="after")
    def _only_of_mlp(self) -> Head:
        if self.use != "mlp" and (self.hidden, self.layers, self.activation) != (None, 2, "gelu"):
            raise ValueError(f"hidden, layers and activation belong to the head mlp, and this one is {self.use}")
        return self


class Tower(Use):
    """An encoder, how it starts and what of it is trained; the other keys are the encoder's own options."""

    pretrained: str | None = Field(
        default=None,
        min_length=1,
        description="Where its first weights come from: a run, its model folder, a file of safetensors, or what "
        "else the encoder can read.",
    )
    freeze: Literal["all", "encoder"] | Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="What is not trained: the whole tower with its head, the encoder alone, or its embeddings and "
        "that many of its first blocks.",
    )
    layer_decay: Annotated[FiniteFloat, Field(gt=0, le=1)] = Field(
        default=1.0, description="The learning rate of each block as a share of the next one's, towards the input."
    )
    compile: bool = Field(default=False, description="Whether torch.compile translates the encoder.")
    head: Head = Field(default=Head(), description="Between the encoder's summary and the shared space.")


class Momentum(Section):
    """The slow twins of the encoders and the queues of their features, where an objective needs them."""

    decay: Share = Field(default=0.995, description="How much of itself a twin keeps in each step.")
    queue: Annotated[int, Field(ge=0)] = Field(
        default=65536, description="How many features of earlier batches are kept of each modality; 0 keeps none."
    )
    view: Literal["own", "other"] = Field(
        default="other", description="Which view of an image its twin sees: the model's own, or another one."
    )
    twin_dropout: list[Literal["image", "text"]] = Field(
        default=["text"], description="Which twins draw dropout of their own in training."
    )


class Model(Section):
    """The encoders and the space in which they meet."""

    from_: str | None = Field(
        default=None,
        alias="from",
        min_length=1,
        description="A run, or its model folder, whose weights, tokenizer and model section this one starts from.",
    )
    image: Tower = Field(description="The image encoder.")
    text: Tower = Field(description="The text encoder.")
    fusion: Use | None = Field(
        default=None, description="The encoder that reads text and image together, where one is needed."
    )
    tokenizer: Use | None = Field(default=None, description="The tokenizer; by default the text encoder's own choice.")
    embed_dim: Annotated[int, Field(gt=0)] | None = Field(
        default=None,
        description="The width of the shared space; by default that of the narrower encoder, or of one without a head.",
    )
    temperature: Temperature = Field(default=Temperature(), description="Of the similarities.")
    momentum: Momentum = Field(default=Momentum(), description="Of twins and queues, for objectives that need them.")


class Data(Section):
    """What is trained on."""

    train: Annotated[list[Source], Field(min_length=1)] = Field(description="The datasets, drawn from by the sampler.")
    sampler: Use = Field(default=Use(use="shuffle"), description="Which sample comes when.")
    merge_classes: bool = Field(
        default=False,
        description="Whether classes of one name in several sources are one class; otherwise each source has its own.",
    )
    transform: Use = Field(default=Use(use="clip"), description="How a training view is cut from an image.")
    workers: Annotated[int, Field(ge=0, le=1024)] = Field(
        default=0,
        description="Processes that read and decode, for each rank; 0 reads in the training process.",
    )
    max_bad: Annotated[FiniteFloat, Field(ge=0)] = Field(
        default=0.1,
        description="How many samples may be unreadable before the run fails: below 1 a share of the data, "
        "1 and above a number of samples. 0 tolerates none.",
    )


class Optimizer(Section):
    """The optimizer. Biases, norms and the logit scale are exempt from weight decay."""

    use: Literal["adamw", "lamb"] = Field(
        default="adamw",
        description="Which one; `lamb` gives each matrix steps in proportion to its length, for very large batches.",
    )
    lr: Positive = Field(default=5e-4, description="The peak learning rate.")
    weight_decay: Annotated[FiniteFloat, Field(ge=0)] = Field(default=0.2, description="Decoupled weight decay.")
    betas: tuple[Annotated[FiniteFloat, Field(ge=0, lt=1)], Annotated[FiniteFloat, Field(ge=0, lt=1)]] = Field(
        default=(0.9, 0.98), description="Decay rates of the two moments."
    )
    eps: Positive = Field(default=1e-6, description="Added to the denominator.")


class Schedule(Section):
    """The learning rate over the run: a linear rise, then the curve."""

    use: Literal["cosine", "constant", "linear"] = Field(default="cosine", description="The curve after the warm-up.")
    warmup: Annotated[int, Field(ge=0)] = Field(default=0, description="Steps of linear rise from zero.")
    final: Share = Field(default=0.0, description="The learning rate at the end, as a share of the peak.")


class Train(Section):
    """How long and how it is trained. Exactly one of `steps` and `epochs` is given."""

    steps: Annotated[int, Field(gt=0)] | None = Field(default=None, description="Optimizer steps.")
    epochs: Positive | None = Field(default=None, description="Passes over the training data, instead of `steps`.")
    batch_size: Annotated[int, Field(gt=1)] = Field(default=256, description="Samples a step, over all ranks.")
    micro_batch_size: Annotated[int, Field(gt=0)] | None = Field(
        default=None,
        description="Samples that a rank encodes at once; by default its whole share of the batch.",
    )
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="bf16 is autocast over fp32 parameters.")
    clip_grad_norm: Positive | None = Field(default=1.0, description="The largest gradient norm; null does not clip.")
    max_skipped_steps: Annotated[int, Field(ge=0)] = Field(
        default=3,
        description="Steps in a row that may be skipped as not finite in loss or gradient; one more ends the run.",
    )
    timeout: Positive = Field(
        default=600.0,
        description="Seconds that ranks wait for a step or for each other before they show where they are.",
    )
    optimizer: Optimizer = Field(default=Optimizer(), description="The optimizer.")
    schedule: Schedule = Field(default=Schedule(), description="The learning rate's schedule.")

    @model_validator(mode="after")
    def _one_length(self) -> Train:
        if (self.steps is None) == (self.epochs is None):
            given = "neither is" if self.steps is None else "both are"
            raise ValueError(f"exactly one of steps and epochs says how long to train; {given} given")
        return self

    @model_validator(mode="after")
    def _divisible(self) -> Train:
        micro = self.micro_batch_size
        if micro is not None and self.batch_size % micro:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of micro_batch_size {micro}")
        return self


class Evaluate(Section):
    """What is measured, and how often."""

    every: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="Steps between two evaluations; by default once, at the end."
    )
    with_: list[Evaluator] = Field(default=[], alias="with", description="The evaluators.")


class Checkpoint(Section):
    """When the state of the run is saved; the last step is always saved."""

    every: Annotated[int, Field(gt=0)] = Field(default=1000, description="Steps between two checkpoints.")
    keep: Annotated[int, Field(gt=0)] = Field(default=3, description="How many of the newest are kept.")


class Recipe(Section):
    """A whole run."""

    extends: str | None = Field(
        default=None,
        description="A recipe that this one is laid over: a preset `plugin/name`, or the path of a file.",
    )
    name: Name = Field(default="run", description="What the run is called; by default the file's name.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=0, description="Everything random follows from it.")
    model: Model = Field(description="The encoders and the space in which they meet.")
    objectives: Annotated[list[Objective], Field(min_length=1)] = Field(description="The losses that are summed.")
    data: Data = Field(description="What is trained on.")
    train: Train = Field(description="How long and how it is trained.")
    evaluate: Evaluate = Field(default=Evaluate(), description="What is measured, and how often.")
    checkpoint: Checkpoint = Field(default=Checkpoint(), description="When the state is saved.")
    deepspeed: dict[str, Any] = Field(default={}, description="Settings passed through to DeepSpeed.")
    output: Annotated[str, Field(min_length=1)] = Field(
        default="runs/run",
        description="The run folder, relative to the working directory; by default runs/NAME.",
    )
