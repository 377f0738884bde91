"""Three learning rates at once, awaited; the emulator trains them one after the other, Vertex AI side by side."""

import asyncio
from pathlib import Path

from vertex_tuning import SupervisedTuning, aconnect

DATA = Path(__file__).parent / "data"


async def main() -> None:
    async with await aconnect() as client:

        async def last_loss(multiplier: float) -> float:
            spec = SupervisedTuning(
                base_model="gemini-3.5-flash",
                training=DATA / "tickets-train.jsonl",
                validation=DATA / "tickets-validation.jsonl",
                learning_rate_multiplier=multiplier,
                epochs=2,
            )
            job = await client.tune(spec)
            await job.wait()
            return float(
                [measure["eval_loss"] for measure in await job.metrics() if "eval_loss" in measure][-1]
            )

        multipliers = [0.2, 1.0, 2.0]
        losses = await asyncio.gather(*map(last_loss, multipliers))
        for multiplier, loss in zip(multipliers, losses, strict=True):
            print(f"multiplier {multiplier}: validation loss {loss:.3f}")


asyncio.run(main())
