// What an expression may name: the variable of its place in the file, types and protobuf's well-known messages, and the
// functions of a release. k8s.io/apiserver 1.36 pkg/authentication/cel/compile.go and pkg/cel/types.go; cel-go v0.26's registry.
import { FUNCTIONS, isReleased } from './declarations.ts'
import { CIDR, IP } from './signature.ts'
import {
  ANY,
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  NULL,
  STRING,
  TIMESTAMP,
  UINT,
  listOf,
  mapOf,
  nullable,
  opaque,
  struct,
  typeOf,
  typeParameter,
} from './type.ts'
import type { CelType } from './type.ts'

/** Where an expression stands: decides its variable (`user` for the last, else `claims`) and what it must evaluate to. */
export type ExpressionUse = 'claim_validation' | 'username' | 'groups' | 'uid' | 'extra' | 'user_validation'

export type Declared =
  | { readonly kind: 'variable'; readonly type: CelType }
  | { readonly kind: 'constant'; readonly type: CelType; readonly value: bigint }
  /** A type as a value. One that is not `registered` type-checks and then fails: "reference to undefined type". */
  | { readonly kind: 'type'; readonly type: CelType; readonly isRegistered: boolean }

const TEXTS = listOf(STRING)
const USER = struct('kubernetes.UserInfo')
const USER_FIELDS: ReadonlyMap<string, CelType> = new Map([
  ['username', STRING],
  ['uid', STRING],
  ['groups', TEXTS],
  ['extra', mapOf(STRING, TEXTS)],
])

const META_TYPE: CelType = { kind: 'type', name: 'type', parameters: [], nullable: false }

const TYPE_NAMES: ReadonlyMap<string, CelType> = new Map([
  ['bool', BOOL],
  ['bytes', BYTES],
  ['double', DOUBLE],
  ['google.protobuf.Duration', DURATION],
  ['int', INT],
  ['list', listOf(typeParameter('A'))],
  ['map', mapOf(typeParameter('A'), typeParameter('B'))],
  ['null_type', NULL],
  ['string', STRING],
  ['google.protobuf.Timestamp', TIMESTAMP],
  ['type', META_TYPE],
  ['uint', UINT],
  ['optional_type', opaque('optional_type')],
  ['net.IP', IP],
  ['net.CIDR', CIDR],
])

type Message = { readonly type: CelType; readonly fields: Readonly<Record<string, CelType>> }

const MOMENT = { seconds: INT, nanos: INT }

function wrapper(type: CelType): Message {
  return { type: nullable(type), fields: { value: type } }
}

/** Messages that can be written as literals, by name. Of the two short names only the literal works, not the name. */
const MESSAGES: ReadonlyMap<string, Message> = new Map<string, Message>([
  ['google.protobuf.Any', { type: ANY, fields: { type_url: STRING, value: BYTES } }],
  ['google.protobuf.BoolValue', wrapper(BOOL)],
  ['google.protobuf.BytesValue', wrapper(BYTES)],
  ['google.protobuf.DoubleValue', wrapper(DOUBLE)],
  ['google.protobuf.FloatValue', wrapper(DOUBLE)],
  ['google.protobuf.Int32Value', wrapper(INT)],
  ['google.protobuf.Int64Value', wrapper(INT)],
  ['google.protobuf.StringValue', wrapper(STRING)],
  ['google.protobuf.UInt32Value', wrapper(UINT)],
  ['google.protobuf.UInt64Value', wrapper(UINT)],
  ['google.protobuf.Duration', { type: DURATION, fields: MOMENT }],
  ['google.protobuf.Timestamp', { type: TIMESTAMP, fields: MOMENT }],
  ['google.protobuf.Empty', { type: struct('google.protobuf.Empty'), fields: {} }],
  ['google.protobuf.Struct', { type: mapOf(STRING, DYN), fields: { fields: mapOf(STRING, DYN) } }],
  ['google.protobuf.ListValue', { type: listOf(DYN), fields: { values: listOf(DYN) } }],
  [
    'google.protobuf.Value',
    {
      type: DYN,
      fields: {
        null_value: INT,
        number_value: DOUBLE,
        string_value: STRING,
        bool_value: BOOL,
        struct_value: mapOf(STRING, DYN),
        list_value: listOf(DYN),
      },
    },
  ],
  [
    'google.protobuf.Struct.FieldsEntry',
    { type: struct('google.protobuf.Struct.FieldsEntry'), fields: { key: STRING, value: DYN } },
  ],
  ['duration', { type: DURATION, fields: {} }],
  ['timestamp', { type: TIMESTAMP, fields: {} }],
])

/** Names of types that are known in the place of user rules only. */
const USER_TYPES: ReadonlyMap<string, CelType> = new Map([
  ['kubernetes.UserInfo', USER],
  ['kubernetes.UserInfo.groups', TEXTS],
  ['kubernetes.UserInfo.extra', mapOf(STRING, TEXTS)],
])

export class Environment {
  /** Of Kubernetes 1. */
  readonly minor: number
  readonly #variables: ReadonlyMap<string, CelType>
  readonly #isOfUser: boolean

  constructor(use: ExpressionUse, minor: number) {
    this.minor = minor
    this.#isOfUser = use === 'user_validation'
    this.#variables = new Map([this.#isOfUser ? ['user', USER] : ['claims', mapOf(STRING, ANY)]])
  }

  hasFunction(name: string): boolean {
    return FUNCTIONS.get(name)?.some((overload) => isReleased(overload, this.minor)) ?? false
  }

  /** What a full name without a leading dot means. */
  find(name: string): Declared | undefined {
    const variable = this.#variables.get(name)
    if (variable !== undefined) return { kind: 'variable', type: variable }
    const known = TYPE_NAMES.get(name)
    if (known !== undefined) return { kind: 'type', type: typeOf(known), isRegistered: true }
    if (name === 'google.protobuf.NullValue.NULL_VALUE') return { kind: 'constant', type: INT, value: 0n }
    const message = MESSAGES.get(name)?.type ?? (this.#isOfUser ? USER_TYPES.get(name) : undefined)
    if (message === undefined) return undefined
    return {
      kind: 'type',
      type: typeOf(message),
      isRegistered: message.name === name && message.kind === 'struct' && message !== USER,
    }
  }

  /** The fields of a message or of `user`; `undefined` when no such type has fields. */
  fieldsOf(typeName: string): ReadonlyMap<string, CelType> | undefined {
    if (this.#isOfUser && typeName === USER.name) return USER_FIELDS
    const message = MESSAGES.get(typeName)
    return message === undefined ? undefined : new Map(Object.entries(message.fields))
  }
}
