"""The torch code: one file per method. It sees local paths only, and runs the same in the emulator's trainer, in a container
and under `torchrun`.

    supervised.py  learn from examples: an adapter, or every weight
    chat.py        text to tokens and back, by the model's own template
    rows.py        rows of Vertex AI's formats as chats
    stats.py       what the service reports about a data set
    adapters.py    LoRA adapters: made, resized, written
    resume.py      where an interrupted run goes on

`import vertex_tuning.training` loads no torch.
"""
