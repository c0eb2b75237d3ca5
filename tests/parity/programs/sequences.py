"""Programs that read and write sequences."""

import math
import random

import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence


def sentences(n=6, vocab=20, longest=9):
    rng = random.Random(0)
    lengths = sorted((rng.randint(2, longest) for _ in range(n)), reverse=True)
    return [torch.randint(1, vocab, (length,)) for length in lengths], torch.tensor(lengths)


def lstm_text_classifier_with_packed_sequences(log):
    class Classifier(nn.Module):
        def __init__(self, vocab, emb=8, hidden=6):
            super().__init__()
            self.embedding = nn.Embedding(vocab, emb, padding_idx=0)
            self.lstm = nn.LSTM(emb, hidden, num_layers=2, bidirectional=True, batch_first=True, dropout=0.0)
            self.drop = nn.Dropout(0.3)
            self.fc = nn.Linear(2 * hidden, 3)

        def forward(self, text, lengths):
            packed = pack_padded_sequence(self.embedding(text), lengths.cpu(), batch_first=True, enforce_sorted=False)
            _, (hidden, _) = self.lstm(packed)
            hidden = torch.cat((hidden[-2, :, :], hidden[-1, :, :]), dim=1)
            return self.fc(self.drop(hidden))

    texts, lengths = sentences()
    order = torch.randperm(len(texts))
    padded, lengths = pad_sequence(texts, batch_first=True)[order], lengths[order]
    y = torch.randint(3, (len(texts),))
    model = Classifier(20)
    log("repr", repr(model))
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(6):
        model.zero_grad()
        loss = F.cross_entropy(model(padded, lengths), y)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        log("loss", loss.item())
        log("norm", norm.item())
    log("padding", model.embedding.weight[0])
    log("state", model.state_dict())


def seq2seq_with_attention_and_teacher_forcing(log):
    SOS, EOS = 0, 1

    class EncoderRNN(nn.Module):
        def __init__(self, input_size, hidden_size):
            super().__init__()
            self.hidden_size = hidden_size
            self.embedding = nn.Embedding(input_size, hidden_size)
            self.gru = nn.GRU(hidden_size, hidden_size)

        def forward(self, input, hidden):
            embedded = self.embedding(input).view(1, 1, -1)
            return self.gru(embedded, hidden)

        def init_hidden(self):
            return torch.zeros(1, 1, self.hidden_size)

    class AttnDecoderRNN(nn.Module):
        def __init__(self, hidden_size, output_size, max_length=8):
            super().__init__()
            self.max_length = max_length
            self.embedding = nn.Embedding(output_size, hidden_size)
            self.attn = nn.Linear(hidden_size * 2, max_length)
            self.attn_combine = nn.Linear(hidden_size * 2, hidden_size)
            self.dropout = nn.Dropout(0.1)
            self.gru = nn.GRU(hidden_size, hidden_size)
            self.out = nn.Linear(hidden_size, output_size)

        def forward(self, input, hidden, encoder_outputs):
            embedded = self.dropout(self.embedding(input).view(1, 1, -1))
            weights = F.softmax(self.attn(torch.cat((embedded[0], hidden[0]), 1)), dim=1)
            applied = torch.bmm(weights.unsqueeze(0), encoder_outputs.unsqueeze(0))
            output = F.relu(self.attn_combine(torch.cat((embedded[0], applied[0]), 1)).unsqueeze(0))
            output, hidden = self.gru(output, hidden)
            return F.log_softmax(self.out(output[0]), dim=1), hidden, weights

    encoder, decoder = EncoderRNN(12, 8), AttnDecoderRNN(8, 10)
    optimizers = [optim.SGD(m.parameters(), lr=0.05) for m in (encoder, decoder)]
    criterion = nn.NLLLoss()
    source, target = torch.randint(2, 12, (5, 1)), torch.cat([torch.randint(2, 10, (4, 1)), torch.tensor([[EOS]])])
    rng = random.Random(1)
    for _ in range(4):
        hidden = encoder.init_hidden()
        for optimizer in optimizers:
            optimizer.zero_grad()
        encoder_outputs = torch.zeros(decoder.max_length, encoder.hidden_size)
        for i in range(source.size(0)):
            out, hidden = encoder(source[i], hidden)
            encoder_outputs[i] = out[0, 0]
        loss = 0
        token = torch.tensor([[SOS]])
        forced = rng.random() < 0.5
        for i in range(target.size(0)):
            out, hidden, weights = decoder(token, hidden, encoder_outputs)
            loss += criterion(out, target[i])
            if forced:
                token = target[i]
            else:
                topv, topi = out.topk(1)
                token = topi.squeeze().detach()
                if token.item() == EOS:
                    break
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        log("loss", loss.item() / target.size(0))
        log("weights", weights)
    log("state", [encoder.state_dict(), decoder.state_dict()])


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout=0.1, max_len=50):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        x = x + self.pe[: x.size(0)]
        return self.dropout(x)


def transformer_classifier_with_padding_masks(log):
    class Model(nn.Module):
        def __init__(self, ntoken, d_model=16, nhead=2, d_hid=24, nlayers=2):
            super().__init__()
            self.embedding = nn.Embedding(ntoken, d_model)
            self.pos_encoder = PositionalEncoding(d_model)
            layers = nn.TransformerEncoderLayer(d_model, nhead, d_hid, dropout=0.1)
            self.transformer_encoder = nn.TransformerEncoder(layers, nlayers)
            self.linear = nn.Linear(d_model, 4)
            self.d_model = d_model

        def forward(self, src, mask):
            x = self.pos_encoder(self.embedding(src) * math.sqrt(self.d_model))
            x = self.transformer_encoder(x, src_key_padding_mask=mask)
            keep = (~mask).t().unsqueeze(-1).to(x.dtype)
            return self.linear((x * keep).sum(0) / keep.sum(0).clamp(min=1e-9))

    texts, _ = sentences()
    src = pad_sequence(texts)
    mask = (src == 0).transpose(0, 1)
    y = torch.randint(4, (src.shape[1],))
    model = Model(20)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.9)
    for _ in range(5):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)(model(src, mask), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        scheduler.step()
        log("loss", loss.item())
        log("rate", scheduler.get_last_lr()[0])
    model.eval()
    log("logits", model(src, mask))
    log("state", model.state_dict())


def gpt_block_and_weight_tying(log):
    class CausalSelfAttention(nn.Module):
        def __init__(self, n_embd, n_head, block_size):
            super().__init__()
            assert n_embd % n_head == 0
            self.c_attn = nn.Linear(n_embd, 3 * n_embd)
            self.c_proj = nn.Linear(n_embd, n_embd)
            self.attn_dropout = nn.Dropout(0.1)
            self.n_head = n_head
            mask = torch.tril(torch.ones(block_size, block_size)).view(1, 1, block_size, block_size)
            self.register_buffer("bias", mask, persistent=False)

        def forward(self, x, flash):
            B, T, C = x.size()
            q, k, v = self.c_attn(x).split(C, dim=2)
            q, k, v = (t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in (q, k, v))
            if flash:
                y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=True)
            else:
                att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
                att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
                y = self.attn_dropout(F.softmax(att, dim=-1)) @ v
            return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))

    class Block(nn.Module):
        def __init__(self, n_embd, n_head, block_size):
            super().__init__()
            self.ln_1 = nn.LayerNorm(n_embd)
            self.attn = CausalSelfAttention(n_embd, n_head, block_size)
            self.ln_2 = nn.LayerNorm(n_embd, bias=False)
            self.mlp = nn.ModuleDict(
                dict(
                    c_fc=nn.Linear(n_embd, 4 * n_embd),
                    act=nn.GELU(approximate="tanh"),
                    c_proj=nn.Linear(4 * n_embd, n_embd),
                )
            )

        def forward(self, x, flash):
            x = x + self.attn(self.ln_1(x), flash)
            m = self.mlp
            return x + m.c_proj(m.act(m.c_fc(self.ln_2(x))))

    class GPT(nn.Module):
        def __init__(self, vocab=16, n_embd=16, n_layer=2, n_head=4, block_size=12):
            super().__init__()
            self.block_size = block_size
            self.transformer = nn.ModuleDict(
                dict(
                    wte=nn.Embedding(vocab, n_embd),
                    wpe=nn.Embedding(block_size, n_embd),
                    h=nn.ModuleList([Block(n_embd, n_head, block_size) for _ in range(n_layer)]),
                    ln_f=nn.LayerNorm(n_embd),
                )
            )
            self.lm_head = nn.Linear(n_embd, vocab, bias=False)
            self.transformer.wte.weight = self.lm_head.weight
            self.apply(self._init_weights)
            for pn, p in self.named_parameters():
                if pn.endswith("c_proj.weight"):
                    torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * n_layer))

        def _init_weights(self, module):
            if isinstance(module, nn.Linear):
                torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
                if module.bias is not None:
                    torch.nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)

        def forward(self, idx, targets=None, flash=False):
            _, t = idx.size()
            assert t <= self.block_size, f"Cannot forward sequence of length {t}, block size is only {self.block_size}"
            pos = torch.arange(0, t, dtype=torch.long, device=idx.device)
            x = self.transformer.wte(idx) + self.transformer.wpe(pos)
            for block in self.transformer.h:
                x = block(x, flash)
            x = self.transformer.ln_f(x)
            if targets is None:
                return self.lm_head(x[:, [-1], :]), None
            logits = self.lm_head(x)
            return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)

        @torch.no_grad()
        def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None):
            for _ in range(max_new_tokens):
                idx_cond = idx if idx.size(1) <= self.block_size else idx[:, -self.block_size :]
                logits, _ = self(idx_cond)
                logits = logits[:, -1, :] / temperature
                if top_k is not None:
                    v, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                    logits[logits < v[:, [-1]]] = -float("Inf")
                idx = torch.cat((idx, torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)), dim=1)
            return idx

    model = GPT()
    log("parameters", sum(p.numel() for p in model.parameters()))
    params = {pn: p for pn, p in model.named_parameters() if p.requires_grad}
    groups = [
        {"params": [p for p in params.values() if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in params.values() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), eps=1e-4)
    data = torch.randint(16, (200,))
    for step in range(6):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * min(1, (step + 1) / 3)
        ix = torch.randint(len(data) - 12, (4,))
        x = torch.stack([data[i : i + 12] for i in ix])
        y = torch.stack([data[i + 1 : i + 13] for i in ix])
        y[0, :3] = -1
        _, loss = model(x, y, flash=step % 2 == 1)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        log("loss", loss.item())
    model.eval()
    log("text", model.generate(torch.zeros((2, 1), dtype=torch.long), 15, top_k=5).tolist())
    log("state", model.state_dict())


def lstm_language_model_with_truncated_backpropagation(log):
    class RNNModel(nn.Module):
        def __init__(self, ntoken, ninp, nhid, nlayers, tie_weights=True):
            super().__init__()
            self.drop = nn.Dropout(0.2)
            self.encoder = nn.Embedding(ntoken, ninp)
            self.rnn = nn.LSTM(ninp, nhid, nlayers, dropout=0.2)
            self.decoder = nn.Linear(nhid, ntoken)
            if tie_weights:
                self.decoder.weight = self.encoder.weight
            nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
            self.nhid, self.nlayers, self.ntoken = nhid, nlayers, ntoken

        def forward(self, input, hidden):
            output, hidden = self.rnn(self.drop(self.encoder(input)), hidden)
            decoded = self.decoder(self.drop(output)).view(-1, self.ntoken)
            return F.log_softmax(decoded, dim=1), hidden

        def init_hidden(self, bsz):
            weight = next(self.parameters())
            return (weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid))

    def repackage_hidden(h):
        if isinstance(h, torch.Tensor):
            return h.detach()
        return tuple(repackage_hidden(v) for v in h)

    def batchify(data, bsz):
        nbatch = data.size(0) // bsz
        return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()

    model = RNNModel(11, 8, 8, 2)
    source = batchify(torch.randint(11, (85,)), 4)
    hidden, lr, bptt = model.init_hidden(4), 2.0, 5
    for i in range(0, source.size(0) - 1, bptt):
        seq_len = min(bptt, len(source) - 1 - i)
        data, target = source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = nn.NLLLoss()(output, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        log("perplexity", math.exp(loss.item()))
    log("hidden", hidden)
    log("state", model.state_dict())


def speech_toy_with_ctc(log):
    model = nn.Sequential(nn.Conv1d(6, 8, 3, stride=2, padding=1), nn.BatchNorm1d(8), nn.GELU())
    rnn = nn.GRU(8, 10, bidirectional=True, batch_first=True)
    head = nn.Linear(20, 5)
    parameters = list(model.parameters()) + list(rnn.parameters()) + list(head.parameters())
    optimizer = optim.Adam(parameters, lr=1e-2)
    ctc = nn.CTCLoss(blank=0, zero_infinity=True)
    audio = torch.randn(3, 6, 24)
    targets = [torch.tensor([1, 2, 2, 3]), torch.tensor([4, 1]), torch.tensor([3])]
    target_lengths = torch.tensor([len(t) for t in targets])
    input_lengths = torch.full((3,), 12, dtype=torch.long)
    for step in range(6):
        out, _ = rnn(model(audio).permute(0, 2, 1))
        log_probs = head(out).log_softmax(2).transpose(0, 1)
        padded = pad_sequence(targets, batch_first=True) if step % 2 else torch.cat(targets)
        loss = ctc(log_probs, padded, input_lengths, target_lengths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    best = log_probs.argmax(2).t()
    log("decoded", [[int(t) for t in torch.unique_consecutive(row) if t != 0] for row in best])


def embedding_bag_classifier_with_collate_fn(log):
    class TextClassificationModel(nn.Module):
        def __init__(self, vocab_size, embed_dim, num_class):
            super().__init__()
            self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, mode="mean")
            self.fc = nn.Linear(embed_dim, num_class)
            self.init_weights()

        def init_weights(self):
            initrange = 0.5
            self.embedding.weight.data.uniform_(-initrange, initrange)
            self.fc.weight.data.uniform_(-initrange, initrange)
            self.fc.bias.data.zero_()

        def forward(self, text, offsets):
            return self.fc(self.embedding(text, offsets))

    from torch.utils.data import DataLoader, random_split

    def collate_batch(batch):
        labels, texts, offsets = [], [], [0]
        for label, text in batch:
            labels.append(label)
            texts.append(torch.tensor(text, dtype=torch.int64))
            offsets.append(len(text))
        return torch.tensor(labels), torch.cat(texts), torch.tensor(offsets[:-1]).cumsum(dim=0)

    rng = random.Random(3)
    dataset = [(i % 4, [rng.randrange(30) for _ in range(rng.randint(1, 7))]) for i in range(40)]
    train, valid = random_split(dataset, [32, 8])
    model = TextClassificationModel(30, 8, 4)
    optimizer = optim.SGD(model.parameters(), lr=5)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1.0, gamma=0.5)
    for _ in range(2):
        model.train()
        for label, text, offsets in DataLoader(train, batch_size=8, shuffle=True, collate_fn=collate_batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(text, offsets), label)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            log("loss", loss.item())
        scheduler.step()
        model.eval()
        with torch.no_grad():
            right = 0
            for label, text, offsets in DataLoader(valid, batch_size=4, collate_fn=collate_batch):
                right += (model(text, offsets).argmax(1) == label).sum().item()
            log("right", right)
    log("state", model.state_dict())


def dilated_temporal_convolution(log):
    from torch.nn.utils.parametrizations import weight_norm

    class Chomp1d(nn.Module):
        def __init__(self, chomp_size):
            super().__init__()
            self.chomp_size = chomp_size

        def forward(self, x):
            return x[:, :, : -self.chomp_size].contiguous()

    class TemporalBlock(nn.Module):
        def __init__(self, n_inputs, n_outputs, k, dilation):
            super().__init__()
            padding = (k - 1) * dilation
            self.conv1 = weight_norm(nn.Conv1d(n_inputs, n_outputs, k, padding=padding, dilation=dilation))
            self.net = nn.Sequential(self.conv1, Chomp1d(padding), nn.ReLU(), nn.Dropout(0.1))
            self.downsample = nn.Conv1d(n_inputs, n_outputs, 1) if n_inputs != n_outputs else None
            self.conv1.weight.data.normal_(0, 0.01)

        def forward(self, x):
            return F.relu(self.net(x) + (x if self.downsample is None else self.downsample(x)))

    model = nn.Sequential(*[TemporalBlock(1 if i == 0 else 6, 6, 3, 2**i) for i in range(3)])
    head = nn.Conv1d(6, 1, 1)
    x = torch.sin(torch.linspace(0, 12, 61)).repeat(3, 1)[:, None] + 0.1 * torch.randn(3, 1, 61)
    optimizer = optim.Adam([{"params": model.parameters()}, {"params": head.parameters(), "lr": 1e-3}], lr=1e-2)
    for _ in range(5):
        pred = head(model(x[..., :-1]))
        quantiles = torch.tensor([0.1, 0.5, 0.9]).view(-1, 1, 1)
        error = x[..., 1:] - pred
        loss = torch.max(quantiles * error, (quantiles - 1) * error).mean() + F.huber_loss(pred, x[..., 1:], delta=0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    log("state", [model.state_dict(), head.state_dict()])


def transformer_translation_with_masks(log):
    class Seq2Seq(nn.Module):
        def __init__(self):
            super().__init__()
            self.src, self.tgt = nn.Embedding(9, 16), nn.Embedding(8, 16)
            self.pos = PositionalEncoding(16, dropout=0.0)
            self.transformer = nn.Transformer(16, 4, 1, 2, 20, dropout=0.0)
            self.generator = nn.Linear(16, 8)
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.xavier_uniform_(p)

        def forward(self, src, tgt, src_padding, tgt_padding):
            mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(0))
            tgt_padding = torch.zeros(tgt_padding.shape).masked_fill(tgt_padding, float("-inf"))
            src_padding = torch.zeros(src_padding.shape).masked_fill(src_padding, float("-inf"))
            out = self.transformer(
                self.pos(self.src(src)),
                self.pos(self.tgt(tgt)),
                tgt_mask=mask,
                src_key_padding_mask=src_padding,
                tgt_key_padding_mask=tgt_padding,
                memory_key_padding_mask=src_padding,
            )
            return self.generator(out)

    src = pad_sequence([torch.randint(1, 9, (n,)) for n in (6, 4, 3)])
    tgt = pad_sequence([torch.randint(1, 8, (n,)) for n in (5, 3, 4)])
    model = Seq2Seq()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(5):
        logits = model(src, tgt[:-1], (src == 0).t(), (tgt[:-1] == 0).t())
        loss = nn.CrossEntropyLoss(ignore_index=0)(logits.reshape(-1, logits.shape[-1]), tgt[1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    log("state", model.state_dict())


def char_cell_by_hand_and_by_lstm_cell(log):
    class Cell(nn.Module):
        def __init__(self, n_in, n_hidden):
            super().__init__()
            self.i2h, self.h2h = nn.Linear(n_in, 4 * n_hidden), nn.Linear(n_hidden, 4 * n_hidden, bias=False)

        def forward(self, x, state):
            h, c = state
            i, f, g, o = (self.i2h(x) + self.h2h(h)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c

    text = "hello world"
    chars = sorted(set(text))
    x = F.one_hot(torch.tensor([chars.index(c) for c in text[:-1]]), len(chars)).to(torch.get_default_dtype())
    y = torch.tensor([chars.index(c) for c in text[1:]])
    mine, theirs = Cell(len(chars), 6), nn.LSTMCell(len(chars), 6)
    with torch.no_grad():
        mine.i2h.weight.copy_(theirs.weight_ih)
        mine.h2h.weight.copy_(theirs.weight_hh)
        mine.i2h.bias.copy_(theirs.bias_ih + theirs.bias_hh)
    readout = nn.Linear(6, len(chars))
    optimizer = optim.Adagrad([*mine.parameters(), *readout.parameters()], lr=0.1)
    for _ in range(5):
        h, c = torch.zeros(1, 6), torch.zeros(1, 6)
        state, loss = (h, c), 0.0
        for t in range(len(x)):
            state = mine(x[t : t + 1], state)
            loss = loss + F.cross_entropy(readout(state[0]), y[t : t + 1])
            h, c = theirs(x[t][None], (h, c))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
        log("cell", [h, c])


def attention_pooling_and_multihead_attention(log):
    class Pool(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.query = nn.Parameter(torch.randn(dim))
            self.attention = nn.MultiheadAttention(dim, 2, dropout=0.0, batch_first=True, kdim=6, vdim=4)
            self.scores = nn.Parameter(torch.full((3,), 0.5))
            self.register_parameter("unused", None)

        def forward(self, keys, values, mask):
            q = self.query.expand(keys.size(0), 1, -1)
            out, weights = self.attention(q, keys, values, key_padding_mask=mask, average_attn_weights=False)
            return out.squeeze(1), weights

    model = Pool(8)
    keys, values = torch.randn(3, 5, 6), torch.randn(3, 5, 4)
    mask = torch.arange(5)[None, :] >= torch.tensor([5, 3, 1])[:, None]
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        out, weights = model(keys, values, mask)
        loss = (out.norm(dim=1) * model.scores.softmax(0)).sum() + torch.einsum("nhqk,nhqk->", weights, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
        log("weights", weights)
    log("state", model.state_dict())


PROGRAMS = [
    lstm_text_classifier_with_packed_sequences,
    seq2seq_with_attention_and_teacher_forcing,
    transformer_classifier_with_padding_masks,
    gpt_block_and_weight_tying,
    lstm_language_model_with_truncated_backpropagation,
    speech_toy_with_ctc,
    embedding_bag_classifier_with_collate_fn,
    dilated_temporal_convolution,
    transformer_translation_with_masks,
    char_cell_by_hand_and_by_lstm_cell,
    attention_pooling_and_multihead_attention,
]
