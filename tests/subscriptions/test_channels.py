from uuid import UUID

from subscriptions import channels

ONE, OTHER = UUID(int=1), UUID(int=2)


def test_no_two_kinds_of_channel_share_a_name():
    makers = (channels.chat, channels.notifications, channels.party, channels.presence, channels.rider)
    names = [make(each) for make in makers for each in (ONE, OTHER)]
    names += [channels.region(str(each)) for each in (ONE, OTHER)]
    names += [channels.session_ends(), channels.link()]
    assert len(set(names)) == len(names)


def test_no_name_is_the_beginning_of_another():
    assert not channels.rider(ONE).startswith(channels.rider(OTHER))
    assert channels.chat(ONE) == f"chat:{ONE}"
