"""Sentiment of sentences: a bag of words against recurrent networks, and which words mattered.

Why: a bag of words cannot tell "not good" from "good"; a network that reads in order can.
Look at: how much more than the bag the networks get right, with its standard error, and the shaded words.

- The baseline is a logistic regression on word counts: one weight a word, the order is lost.
- A GRU and an LSTM read the words of a sentence one after another, forwards and backwards. The vectors of the words
  start from the company that words keep in the training sentences (no labels), and learn on. Sentences differ in
  length: the padding is never read, for the layers are told the lengths.
- Vocabulary, vectors and networks see the training sentences only; a tenth of the sentences is put aside and used once.
  With --folds K that is done with K tenths in turn, and each network is compared with the bag sentence by sentence.
- A word matters as much as the score changes when it is hidden.

By default a grammar of this project generates the sentences, so that the example needs no data. They show the effect of
word order ("not clumsy", "dull but moving"), not the difficulty of real language. For that use the 10,662 sentences of
film reviews of Pang and Lee (2005), rt-polarity.pos and rt-polarity.neg:

    python examples/13_sentiment.py
    python examples/13_sentiment.py --data-dir FOLDER --folds 5
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import xpnet
from xpnet import data, metrics, nn, optim, plot
from xpnet.lesson import positive, start
from xpnet.nn import functional as F


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", metavar="DIR", help="folder with rt-polarity.pos and .neg (default: a grammar)")
    parser.add_argument("--folds", type=positive, default=1, metavar="K", help="tenths to hold out in turn, 1 to 10")


lesson = start(__doc__, __file__, add_options)
if lesson.options.folds > 10:
    lesson.refuse(f"--folds {lesson.options.folds}: there are ten tenths")
real = lesson.options.data_dir is not None
try:
    texts, labels = data.read_sentence_polarity(lesson.options.data_dir) if real else data.write_opinions(3000)
except (ValueError, OSError) as error:
    lesson.refuse(error)
different = dict(zip(texts, labels.tolist(), strict=True))  # a sentence that occurs twice must not be on both sides
sentences, labels = [data.Tokenizer()(text) for text in different], np.array([*different.values()])
generator = np.random.default_rng(lesson.seed)
if lesson.quick:
    few = generator.permutation(len(labels))[:1000]
    sentences, labels = [sentences[i] for i in few], labels[few]
tenth = np.empty(len(labels), dtype=int)
for label in (0, 1):  # each tenth has as many positive as negative sentences
    rows = generator.permutation(np.flatnonzero(labels == label))
    tenth[rows] = np.arange(len(rows)) % 10
UNKNOWN = 1
DROPOUT, HIDDEN = (0.5, 0.3) if real else (0.1, 0.1)  # the many rare words of real language lead to overfitting


class Bag(nn.Module):
    """A sum of one weight for each word: a logistic regression on counts."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.EmbeddingBag(len(vocabulary), 1, mode="sum", padding_idx=0)
        nn.init.zeros_(self.weights.weight)

    def forward(self, batch):
        tokens, _ = batch
        return self.weights(tokens)[:, 0]  # (N,)


class Reader(nn.Module):
    """A bidirectional recurrent layer over word vectors; the mean of its outputs over the words gives the score."""

    def __init__(self, cell: Callable[..., nn.Module], size: int = 48) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(vectors, freeze=False, padding_idx=0)
        self.dropout = nn.Dropout(DROPOUT)
        self.cell = cell(vectors.shape[1], size, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * size, 1)

    def forward(self, batch):
        tokens, lengths = batch  # (N, T), (N,)
        if self.training:  # hide some words, so that no sentence is recognised by one rare word
            xp = lesson.backend.xp
            hidden = F.dropout(xp.ones(tokens.shape, dtype="float32"), HIDDEN).data == 0
            tokens = xp.where(hidden & (tokens > 0), UNKNOWN, tokens)
        outputs, _ = self.cell(self.dropout(self.embedding(tokens)), lengths=lengths)  # zeros beyond the end
        mean = outputs.sum(axis=1) / lengths.astype("float32")[:, None]
        return self.head(self.dropout(mean))[:, 0]


def fit(make: Callable[[], nn.Module], epochs: int, lr: float, seed: int) -> nn.Module:
    """Train on the training sentences, with a learning rate that decreases to 0."""
    xpnet.manual_seed(seed)
    model = make()
    loader = data.SequenceLoader(
        [numbers[i] for i in train_rows], labels[train_rows].astype("float32"), 50, shuffle=True, bucket=20
    )
    optimizer = optim.AdamW(model.named_parameters(), lr=lr, weight_decay=0.01)
    schedule = optim.lr_scheduler.PolynomialLR(optimizer, total_iters=epochs * len(loader))
    for _ in range(epochs):
        model.train()
        for batch, target in loader:
            loss = F.binary_cross_entropy_with_logits(model(batch), target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return model.eval()  # no dropout from here on


def scores(model: nn.Module, chosen: list[np.ndarray]) -> np.ndarray:
    """The logit of "praises" for each sentence, in order."""
    with xpnet.no_grad():
        loader = data.SequenceLoader(chosen, batch_size=min(100, len(chosen)))
        return np.concatenate([model(batch).numpy() for batch, _ in loader])


kind = "sentences of film reviews" if real else "sentences generated by a grammar of this project"
lesson.say(f"{len(labels):,} {kind}; accuracy on each held-out tenth (each seed alone):")
seeds = [lesson.seed + i for i in range(1 if lesson.quick else 3)]
epochs = 2 if lesson.quick else 4 if real else 10
recipes = {"bag of words": (Bag, 8, 0.005), "GRU": (lambda: Reader(nn.GRU), epochs, 0.003),
           "LSTM": (lambda: Reader(nn.LSTM), epochs, 0.003)}  # fmt: skip
methods = [*recipes, "GRU and LSTM", "all three"]
found = {name: np.zeros(len(labels)) for name in methods}  # the logits of each method, averaged over its seeds
trained: dict[str, nn.Module] = {}
for fold in range(lesson.options.folds):
    train_rows, test_rows = np.flatnonzero(tenth != fold), np.flatnonzero(tenth == fold)
    vocabulary = data.Vocabulary.build([sentences[i] for i in train_rows])
    numbers = [vocabulary.encode(sentence) for sentence in sentences]
    vectors = data.word_vectors([numbers[i] for i in train_rows], len(vocabulary), size=100)
    vectors = xpnet.tensor(vectors * (0.2 / vectors.std()), backend=lesson.backend)
    test, truth = [numbers[i] for i in test_rows], labels[test_rows]
    said = []
    for name, (make, count, lr) in recipes.items():
        runs = []
        for seed in seeds:
            trained[name] = fit(make, count, lr, seed)
            runs.append(scores(trained[name], test))
        found[name][test_rows] = np.mean(runs, axis=0)
        each = " ".join(f"{metrics.accuracy(z, truth, logits=True):.3f}" for z in runs)
        said.append(f"{name} {metrics.accuracy(found[name][test_rows], truth, logits=True):.3f} ({each})")
    lesson.say(f"  tenth {fold}: {', '.join(said)}")
found["GRU and LSTM"] = (found["GRU"] + found["LSTM"]) / 2
found["all three"] = sum(found[name] for name in recipes) / 3  # they are wrong on different sentences

asked = np.flatnonzero(tenth < lesson.options.folds)
right = {name: ((z[asked] > 0) == labels[asked]).astype(float) for name, z in found.items()}
result = {}
lesson.say(f"accuracy on the {len(asked):,} held-out sentences, and the gain over the bag of words")
for name in methods:
    gain = right[name] - right["bag of words"]  # 1, 0 or -1 for each sentence
    error = gain.std() / np.sqrt(len(asked))
    lesson.say(f"  {name:14} {right[name].mean():.3f}  {gain.mean():+.4f} (standard error {error:.4f})")
    result[name] = {"accuracy": right[name].mean(), "gain": gain.mean(), "standard_error": error}

# Which words mattered, in the last of these tenths: hide one word after another, as in training, and measure how the
# score of the whole sentence changes.
model = trained["GRU"]
lengths = np.array([len(sentence) for sentence in test])
readable = np.flatnonzero((lengths >= 6) & (lengths <= 24))
told = found["GRU"][test_rows]
sure = readable[np.argsort(-np.abs(told[readable]))]
correct = (told > 0) == (truth == 1)
turned = np.array([bool({"not", "never", "but"} & set(sentences[test_rows[i]])) for i in sure])
examples = [*sure[correct[sure] & turned][:4], *sure[correct[sure] & ~turned][:2], *sure[~correct[sure]][:2]]
shown, weights, captions = [], [], []
for i in examples:
    tokens = test[i]
    without = [np.where(np.arange(len(tokens)) == place, UNKNOWN, tokens) for place in range(len(tokens))]
    all_scores = scores(model, [tokens, *without])
    weights.append(all_scores[0] - all_scores[1:])  # the contribution of the word to the score
    shown.append(sentences[test_rows[i]])
    said, true = ("praise" if s else "blame" for s in (all_scores[0] > 0, truth[i] == 1))
    captions.append(f"GRU: {said}" + ("" if said == true else f", but it is {true}"))
lesson.draw("words", lambda: plot.words(
    shown, weights, captions, heading="Words that speak for praise (blue) and for blame (orange)"))  # fmt: skip
known = [word for word in vocabulary.tokens[2:] if word.isalpha()]
weight = dict(zip(vocabulary.tokens, trained["bag of words"].weights.weight.numpy()[:, 0].tolist(), strict=True))
ranked = sorted(known, key=weight.__getitem__)
lesson.say(f"the bag's words of blame: {', '.join(ranked[:10])}; of praise: {', '.join(ranked[:-11:-1])}")
curves = {name: metrics.roc_curve(z[asked], labels[asked])[:2] for name, z in found.items()}
lesson.draw("roc", lambda: plot.roc(curves))
lesson.finish({"sentences": len(labels), "test": len(asked), "folds": lesson.options.folds, "methods": result})
