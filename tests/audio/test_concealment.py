from voicebot.audio.concealment import ConcealedAudio


def test_neighbours_are_joined_and_only_what_lies_inside_counts() -> None:
    audio = ConcealedAudio(60.0)
    audio.add(((1.0, 1.02), (1.02, 1.04)), 1.1)
    audio.add(((1.5, 1.6),), 1.6)
    assert abs(audio.share(1.0, 1.6) - 0.14 / 0.6) < 1e-9
    assert audio.share(1.6, 2.0) == 0.0
    assert audio.share(1.55, 1.55) == 0.0


def test_what_is_too_old_is_forgotten() -> None:
    audio = ConcealedAudio(10.0)
    for second in range(100_000):
        audio.add(((second, second + 0.1),), second + 1.0)
    assert audio.share(0.0, 100.0) == 0.0
    assert abs(audio.share(99_995.0, 100_000.0) - 0.1) < 1e-9
    assert len(audio._spans) < 12
