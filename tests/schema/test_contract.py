"""What clients rely on: names, arguments, types and nullability that nothing may remove or change.

Fields, arguments that may be left out, refusals and whole operations may be added beside them.
"""

from typing import Any, cast

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    build_schema,
    is_specified_scalar_type,
    print_ast,
)
from graphql.language import Node
from graphql.type import is_introspection_type

from tests.api import graphql_schema

CONTRACT = build_schema(
    """
scalar DateTime
scalar JSON
interface Node { id: ID! }
interface Error { code: ErrorCode! message: String! }
enum ErrorCode {
  NOT_FOUND NOT_PARTY_LEADER NOT_PARTY_MEMBER PARTY_CLOSED PARTY_FULL ALREADY_JOINED INVALID_INPUT EMAIL_TAKEN
  NICKNAME_TAKEN WRONG_CREDENTIALS SESSION_EXPIRED CHAT_CLOSED CHAT_ALREADY_OPEN TOO_MANY_PENALTIES
  ALREADY_PENALIZED NOT_PENALIZABLE
}
input PointInput { latitude: Float! longitude: Float! }
type Point { latitude: Float! longitude: Float! }
type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }

type User implements Node { id: ID! nickname: String! penaltyCount: Int! joinedAt: DateTime! }
type Viewer {
  user: User! email: String! role: Role! home: Home!
  parties(status: [PartyStatus!], role: MemberRole, first: Int, after: String): PartyConnection!
  bookmarkedItems(first: Int, after: String): ItemConnection!
  bookmarkedMarkets(first: Int, after: String): MarketConnection!
  notifications(unreadOnly: Boolean = false, first: Int, after: String): NotificationConnection!
  unreadNotificationCount: Int!
  notificationPreferences: [NotificationPreference!]!
  penalties(first: Int, after: String): PenaltyConnection!
}
enum Role { USER ADMIN }
type Home { address: String! point: Point! region: String! }
type Tokens { accessToken: String! accessTokenExpiresAt: DateTime! refreshToken: String! user: User! }

type Item implements Node {
  id: ID! code: String! category: String! name: String! unit: String isBookmarked: Boolean!
}
type ItemConnection { edges: [ItemEdge!]! pageInfo: PageInfo! }
type ItemEdge { cursor: String! node: Item! }
type Market implements Node {
  id: ID! name: String! kind: MarketKind! address: String! point: Point! region: String!
  isBookmarked: Boolean!
}
enum MarketKind { LARGE_MART SUPERMARKET DEPARTMENT_STORE CONVENIENCE_STORE TRADITIONAL_MARKET OTHER }
type MarketConnection { edges: [MarketEdge!]! pageInfo: PageInfo! }
type MarketEdge { cursor: String! distanceMeters: Float node: Market! }

type Party implements Node {
  id: ID! leader: User! market: Market! item: Item! itemCount: Int! itemUnit: String! estimatedPrice: Int
  actualPrice: Int cancelReason: CancelReason history: [PartyEvent!]!
  capacity: Int! placesLeft: Int! minMembers: Int! startsAt: DateTime! endsAt: DateTime! joinBy: DateTime!
  status: PartyStatus! note: String approval: Approval! createdAt: DateTime!
  members(status: [MembershipStatus!]): [Membership!]!
  viewerMembership: Membership
  chat: Chat
  penalties: [Penalty!]!
}
enum PartyStatus { OPEN FULL DONE CANCELED }
enum Approval { MANUAL AUTO }
enum CancelReason { BY_LEADER TOO_FEW_MEMBERS NOT_COMPLETED LEADER_LEFT }
type PartyEvent { kind: String! actor: User at: DateTime! detail: JSON }
type Membership implements Node {
  id: ID! party: Party! user: User! role: MemberRole! status: MembershipStatus! quantity: Int!
  attendance: Attendance! amount: Int createdAt: DateTime!
}
enum Attendance { UNKNOWN ATTENDED NO_SHOW }
enum MemberRole { LEADER MEMBER }
enum MembershipStatus { REQUESTED ACCEPTED REJECTED WITHDRAWN LEFT REMOVED }
type PartyConnection { edges: [PartyEdge!]! pageInfo: PageInfo! }
type PartyEdge { cursor: String! node: Party! }
type NearbyPartyConnection { edges: [NearbyPartyEdge!]! pageInfo: PageInfo! totalCount: Int! }
type NearbyPartyEdge { cursor: String! distanceMeters: Float! node: Party! }
input PartyFilter {
  status: [PartyStatus!] = [OPEN] itemIds: [ID!] category: String marketIds: [ID!] startsAfter: DateTime
  startsBefore: DateTime minPlacesLeft: Int search: String
}

type Chat implements Node {
  id: ID! party: Party! isOpen: Boolean!
  messages(last: Int = 50, before: String, first: Int, after: String): ChatMessageConnection!
  lastNumber: Int! unreadCount: Int! readMarks: [ReadMark!]! present: [User!]!
}
type ReadMark { user: User! number: Int! }
type ChatMessage implements Node {
  id: ID! number: Int! kind: ChatMessageKind! sender: User text: String! sentAt: DateTime!
}
enum ChatMessageKind { CHAT JOINED LEFT SYSTEM }
type ChatMessageConnection { edges: [ChatMessageEdge!]! pageInfo: PageInfo! }
type ChatMessageEdge { cursor: String! node: ChatMessage! }
type ChatPresence { typing: [User!]! present: [User!]! }

type Notification implements Node {
  id: ID! number: Int! kind: NotificationKind! text: String! subject: Node path: String! readAt: DateTime
  createdAt: DateTime!
}
type NotificationConnection { edges: [NotificationEdge!]! pageInfo: PageInfo! }
type NotificationEdge { cursor: String! node: Notification! }
enum NotificationKind {
  PARTY_CREATED PARTY_CANCELED PARTY_CHANGED PARTY_FULL PARTY_DONE CHAT_OPENED CHAT_MESSAGE
  JOIN_REQUESTED JOIN_ACCEPTED JOIN_REJECTED MEMBER_LEFT PENALTY_RECEIVED PENALTY_REVOKED
  DELIVERY_MATCHED DELIVERY_UNMATCHED DELIVERY_PICKED_UP DELIVERY_DELIVERED DELIVERY_CANCELED
  PURCHASE_SHIPPED PURCHASE_CONFIRM_REMINDER PURCHASE_CONFIRMED
}
type NotificationPreference { kind: NotificationKind! inApp: Boolean! sms: Boolean! }

type Penalty implements Node {
  id: ID! party: Party! user: User! givenBy: User! reason: String! givenAt: DateTime! expiresAt: DateTime!
  revokedAt: DateTime revokedBy: User objection: Objection
}
type PenaltyConnection { edges: [PenaltyEdge!]! pageInfo: PageInfo! }
type PenaltyEdge { cursor: String! node: Penalty! }
type Objection implements Node {
  id: ID! penalty: Penalty! text: String! madeAt: DateTime! decidedAt: DateTime decidedBy: User
  decision: Decision reason: String
}
enum Decision { UPHELD REVOKED }
type ObjectionConnection { edges: [ObjectionEdge!]! pageInfo: PageInfo! }
type ObjectionEdge { cursor: String! node: Objection! }

type NotFound implements Error { code: ErrorCode! message: String! kind: String! id: ID! }
type NotPartyLeader implements Error { code: ErrorCode! message: String! }
type NotPartyMember implements Error { code: ErrorCode! message: String! }
type PartyClosed implements Error { code: ErrorCode! message: String! status: PartyStatus! }
type PartyFull implements Error { code: ErrorCode! message: String! capacity: Int! }
type AlreadyJoined implements Error { code: ErrorCode! message: String! membership: Membership! }
type InvalidInput implements Error { code: ErrorCode! message: String! field: String! }
type EmailTaken implements Error { code: ErrorCode! message: String! }
type NicknameTaken implements Error { code: ErrorCode! message: String! }
type WrongCredentials implements Error { code: ErrorCode! message: String! }
type SessionExpired implements Error { code: ErrorCode! message: String! }
type TooManyPenalties implements Error {
  code: ErrorCode! message: String! penaltyCount: Int! until: DateTime!
}
type AlreadyPenalized implements Error { code: ErrorCode! message: String! }
type NotPenalizable implements Error { code: ErrorCode! message: String! reason: NotPenalizableReason! }
enum NotPenalizableReason { NOT_DONE LEADER NOT_A_MEMBER ATTENDED TOO_LATE }
type ChatClosed implements Error { code: ErrorCode! message: String! }
type ChatAlreadyOpen implements Error { code: ErrorCode! message: String! }

type Query {
  viewer: Viewer
  node(id: ID!): Node
  nearbyParties(
    near: PointInput, withinMeters: Int = 10000, filter: PartyFilter, first: Int = 20, after: String
  ): NearbyPartyConnection!
  party(id: ID!): Party
  items(search: String, category: String, first: Int, after: String): ItemConnection!
  itemCategories: [String!]!
  markets(
    near: PointInput, withinMeters: Int, search: String, kind: [MarketKind!], first: Int, after: String
  ): MarketConnection!
  penalties(userId: ID!, first: Int, after: String): PenaltyConnection!
  openObjections(first: Int, after: String): ObjectionConnection!
  serverTime: DateTime!
}

type Mutation {
  signUp(input: SignUpInput!): SignUpResult!
  signIn(input: SignInInput!): SignInResult!
  refreshTokens(input: RefreshTokensInput!): RefreshTokensResult!
  signOut(input: SignOutInput!): SignOutResult!
  bookmarkItem(input: BookmarkItemInput!): BookmarkItemResult!
  unbookmarkItem(input: UnbookmarkItemInput!): UnbookmarkItemResult!
  bookmarkMarket(input: BookmarkMarketInput!): BookmarkMarketResult!
  unbookmarkMarket(input: UnbookmarkMarketInput!): UnbookmarkMarketResult!
  createParty(input: CreatePartyInput!): CreatePartyResult!
  updateParty(input: UpdatePartyInput!): UpdatePartyResult!
  cancelParty(input: CancelPartyInput!): CancelPartyResult!
  completeParty(input: CompletePartyInput!): CompletePartyResult!
  joinParty(input: JoinPartyInput!): JoinPartyResult!
  withdrawRequest(input: WithdrawRequestInput!): WithdrawRequestResult!
  leaveParty(input: LeavePartyInput!): LeavePartyResult!
  removeMember(input: RemoveMemberInput!): RemoveMemberResult!
  acceptMember(input: AcceptMemberInput!): AcceptMemberResult!
  rejectMember(input: RejectMemberInput!): RejectMemberResult!
  openChat(input: OpenChatInput!): OpenChatResult!
  closeChat(input: CloseChatInput!): CloseChatResult!
  sendChatMessage(input: SendChatMessageInput!): SendChatMessageResult!
  markChatRead(input: MarkChatReadInput!): MarkChatReadResult!
  setTyping(input: SetTypingInput!): SetTypingResult!
  markNotificationsRead(input: MarkNotificationsReadInput!): MarkNotificationsReadResult!
  deleteNotification(input: DeleteNotificationInput!): DeleteNotificationResult!
  setNotificationPreference(input: SetNotificationPreferenceInput!): SetNotificationPreferenceResult!
  penalize(input: PenalizeInput!): PenalizeResult!
  revokePenalty(input: RevokePenaltyInput!): RevokePenaltyResult!
  objectToPenalty(input: ObjectToPenaltyInput!): ObjectToPenaltyResult!
  decideObjection(input: DecideObjectionInput!): DecideObjectionResult!
  correctAttendance(input: CorrectAttendanceInput!): CorrectAttendanceResult!
}
type Subscription {
  chatMessages(partyId: ID!, after: Int): ChatMessage!
  chatPresence(partyId: ID!): ChatPresence!
  notifications(after: Int): Notification!
  partyChanges(partyId: ID!): Party!
  nearbyPartyChanges(near: PointInput, withinMeters: Int = 10000): NearbyPartyChange!
}
type NearbyPartyChange { kind: NearbyChangeKind! distanceMeters: Float! party: Party! }
enum NearbyChangeKind { APPEARED CHANGED GONE }
input SignUpInput { email: String! password: String! nickname: String! address: String! point: PointInput }
union SignUpResult = Tokens | InvalidInput | EmailTaken | NicknameTaken
input SignInInput { email: String! password: String! }
union SignInResult = Tokens | WrongCredentials
input RefreshTokensInput { refreshToken: String! }
union RefreshTokensResult = Tokens | SessionExpired
input SignOutInput { sessionId: ID }
union SignOutResult = Viewer
input BookmarkItemInput { itemId: ID! }
union BookmarkItemResult = Item | NotFound
input UnbookmarkItemInput { itemId: ID! }
union UnbookmarkItemResult = Item | NotFound
input BookmarkMarketInput { marketId: ID! }
union BookmarkMarketResult = Market | NotFound
input UnbookmarkMarketInput { marketId: ID! }
union UnbookmarkMarketResult = Market | NotFound
input CreatePartyInput {
  marketId: ID! itemId: ID! itemCount: Int! itemUnit: String! estimatedPrice: Int capacity: Int!
  minMembers: Int! = 2 startsAt: DateTime! endsAt: DateTime! joinBy: DateTime note: String
  approval: Approval! = MANUAL quantity: Int! = 1
}
union CreatePartyResult = Party | NotFound | TooManyPenalties | InvalidInput
input UpdatePartyInput {
  partyId: ID! marketId: ID itemId: ID itemCount: Int itemUnit: String estimatedPrice: Int capacity: Int
  minMembers: Int startsAt: DateTime endsAt: DateTime joinBy: DateTime note: String approval: Approval
  quantity: Int
}
union UpdatePartyResult = Party | NotFound | NotPartyLeader | PartyClosed | InvalidInput
input CancelPartyInput { partyId: ID! }
union CancelPartyResult = Party | NotFound | NotPartyLeader | PartyClosed
input CompletePartyInput { partyId: ID! actualPrice: Int! attendance: [AttendanceInput!]! }
input AttendanceInput { userId: ID! attended: Boolean! }
union CompletePartyResult = Party | NotFound | NotPartyLeader | PartyClosed | InvalidInput
input WithdrawRequestInput { partyId: ID! }
union WithdrawRequestResult = Membership | NotFound | NotPartyMember
input LeavePartyInput { partyId: ID! }
union LeavePartyResult = Membership | NotFound | NotPartyMember
input RemoveMemberInput { membershipId: ID! reason: String! }
union RemoveMemberResult = Membership | NotFound | NotPartyLeader
input JoinPartyInput { partyId: ID! quantity: Int! = 1 }
union JoinPartyResult =
  Membership | NotFound | AlreadyJoined | PartyClosed | PartyFull | TooManyPenalties
input AcceptMemberInput { membershipId: ID! }
union AcceptMemberResult = Membership | NotFound | NotPartyLeader | PartyClosed | PartyFull
input RejectMemberInput { membershipId: ID! reason: String }
union RejectMemberResult = Membership | NotFound | NotPartyLeader
input OpenChatInput { partyId: ID! }
union OpenChatResult = Chat | NotPartyLeader | ChatAlreadyOpen
input CloseChatInput { partyId: ID! }
union CloseChatResult = Chat | NotPartyLeader | ChatClosed
input SendChatMessageInput { partyId: ID! text: String! clientKey: String }
union SendChatMessageResult = ChatMessage | NotPartyMember | ChatClosed
input MarkChatReadInput { partyId: ID! number: Int! }
union MarkChatReadResult = Chat | NotPartyMember
input SetTypingInput { partyId: ID! isTyping: Boolean! }
union SetTypingResult = Chat | NotPartyMember
input MarkNotificationsReadInput { ids: [ID!] upToNumber: Int }
union MarkNotificationsReadResult = Viewer
input DeleteNotificationInput { notificationId: ID! }
union DeleteNotificationResult = Viewer
input SetNotificationPreferenceInput { kind: NotificationKind! inApp: Boolean! sms: Boolean! = false }
union SetNotificationPreferenceResult = Viewer
input PenalizeInput { partyId: ID! userId: ID! reason: String! }
union PenalizeResult = Penalty | NotFound | NotPartyLeader | NotPenalizable | AlreadyPenalized
input RevokePenaltyInput { penaltyId: ID! reason: String! }
union RevokePenaltyResult = Penalty | NotFound
input ObjectToPenaltyInput { penaltyId: ID! text: String! }
union ObjectToPenaltyResult = Objection | NotFound
input DecideObjectionInput { objectionId: ID! decision: Decision! reason: String! }
union DecideObjectionResult = Objection | NotFound
input CorrectAttendanceInput { partyId: ID! attendance: [AttendanceInput!]! }
union CorrectAttendanceResult = Party | NotFound | NotPartyLeader
"""
)
SCHEMA = graphql_schema()

PROMISED = {
    name: each
    for name, each in CONTRACT.type_map.items()
    if not is_introspection_type(each) and not is_specified_scalar_type(each)
}


@pytest.mark.parametrize("name", PROMISED)
def test_what_was_promised_is_there(name: str):
    promised, built = PROMISED[name], SCHEMA.get_type(name)
    assert built is not None
    assert type(built) is type(promised)
    compare(promised, built)


def compare(promised: GraphQLNamedType, built: GraphQLNamedType) -> None:
    match promised, built:
        case GraphQLEnumType(), GraphQLEnumType():
            assert promised.values.keys() <= built.values.keys()
        case GraphQLUnionType(), GraphQLUnionType():
            assert names(promised.types) <= names(built.types)
        case GraphQLInputObjectType(), GraphQLInputObjectType():
            compare_inputs(promised.fields, built.fields)
        case (GraphQLObjectType(), GraphQLObjectType()) | (GraphQLInterfaceType(), GraphQLInterfaceType()):
            assert names(promised.interfaces) <= names(built.interfaces)
            for name, field in promised.fields.items():
                compare_fields(name, field, built.fields)
        case _:
            pass


def compare_fields(name: str, promised: GraphQLField, built: dict[str, GraphQLField]) -> None:
    assert name in built
    assert kind(built[name]) == kind(promised), name
    compare_inputs(promised.args, built[name].args)


Given = GraphQLArgument | GraphQLInputField


def compare_inputs(
    promised: dict[str, GraphQLArgument] | dict[str, GraphQLInputField],
    built: dict[str, GraphQLArgument] | dict[str, GraphQLInputField],
) -> None:
    for name, one in promised.items():
        assert kind(built[name]) == kind(one), name
        assert written(built[name]) == written(one), name
    for name in built.keys() - promised.keys():
        is_needed = kind(built[name]).endswith("!") and built[name].default is None
        assert not is_needed, f"{name} is new, and needed"


def written(given: Given) -> str:
    """The default as it is written; none is null."""
    return "null" if given.default is None else print_ast(cast(Node, given.default.literal))


def kind(of: Any) -> str:
    """The type as it is written, with its nullability."""
    return str(of.type)


def names(types: tuple[GraphQLObjectType, ...] | tuple[GraphQLInterfaceType, ...]) -> set[str]:
    return {each.name for each in types}
