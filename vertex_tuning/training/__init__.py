"""The torch code: one file per method. It sees local paths only, and runs the same in the emulator's trainer, in a container
and under `torchrun`.

    methods.py     the ways of tuning, by name
    supervised.py  learn from examples: an adapter, or every weight
    preference.py  learn which of two answers is preferred
    reward.py      learn to say so, by a number for each
    pairs.py       ... both from pairs
    reinforcement.py   try answers, and learn from what they earn
    judging.py     ... paid by a reward model
    leash.py       ... and kept near to where they began
    looking.py     ... and looked at with a measure that nobody is paid by
    groups.py      ... which share their prompt, as they are made and as they are learnt
    distillation.py    learn a teacher's answers
    step_by_step.py    learn its labels and its rationales, as two tasks
    answering.py   no training: answers, and what they are worth
    held_out.py    which short answers a model would say, without generating any
    loop.py        the loop that they share: batches, steps, checkpoints, resuming, measuring
    config.py      what a run is told
    examples.py    rows as tokens, batches as tensors, faults as one error
    chat.py        text to tokens and back, by the model's own template
    sight.py       what a stand-in cannot read
    divergence.py  weights that are no numbers any more
    rows.py        rows of Vertex AI's formats as chats
    stats.py       what the service reports about a data set
    adapters.py    LoRA adapters: made, resized, written
    resume.py      where an interrupted run goes on

`import vertex_tuning.training` loads no torch.
"""
