// The functions of kube-apiserver's CEL environment as data: the standard library, cel-go's extensions and Kubernetes' own
// libraries, as pkg/cel/environment/base.go puts them together for expressions in files. Those are "stored expressions": all
// that the binary has is there, whatever the compatibility version, so a release has what its own base.go and cel-go have.
// A capital letter is a type parameter; `T.(…)` is called on a T.
import { signature } from './signature.ts'
import type { Overload } from './signature.ts'

type Table = Readonly<Record<string, readonly string[]>>

/** What `min`, `sort` and the like take lists of, and what `<` compares. */
const COMPARABLE = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes']
const SUMMABLE = ['int', 'uint', 'double', 'duration']
const NUMERIC_PAIRS = ['int', 'double', 'uint'].flatMap((left) =>
  ['int', 'double', 'uint'].map((right) => `(${left}, ${right}) -> bool`),
)
const ORDER = [
  ...NUMERIC_PAIRS,
  ...['bool', 'string', 'bytes', 'timestamp', 'duration'].map((type) => `(${type}, ${type}) -> bool`),
]

function each(types: readonly string[], template: (type: string) => string): readonly string[] {
  return types.map(template)
}

const OPERATORS: Table = {
  '_?_:_': ['(bool, A, A) -> A'],
  '_&&_': ['(bool, bool) -> bool'],
  '_||_': ['(bool, bool) -> bool'],
  '!_': ['(bool) -> bool'],
  '@not_strictly_false': ['(bool) -> bool'],
  '_==_': ['(A, A) -> bool'],
  '_!=_': ['(A, A) -> bool'],
  '_+_': [
    '(bytes, bytes) -> bytes',
    '(double, double) -> double',
    '(duration, duration) -> duration',
    '(duration, timestamp) -> timestamp',
    '(timestamp, duration) -> timestamp',
    '(int, int) -> int',
    '(list(A), list(A)) -> list(A)',
    '(string, string) -> string',
    '(uint, uint) -> uint',
  ],
  '_/_': ['(double, double) -> double', '(int, int) -> int', '(uint, uint) -> uint'],
  '_%_': ['(int, int) -> int', '(uint, uint) -> uint'],
  '_*_': ['(double, double) -> double', '(int, int) -> int', '(uint, uint) -> uint'],
  '-_': ['(double) -> double', '(int) -> int'],
  '_-_': [
    '(double, double) -> double',
    '(duration, duration) -> duration',
    '(int, int) -> int',
    '(timestamp, duration) -> timestamp',
    '(timestamp, timestamp) -> duration',
    '(uint, uint) -> uint',
  ],
  '_<_': ORDER,
  '_<=_': ORDER,
  '_>_': ORDER,
  '_>=_': ORDER,
  '_[_]': [
    '(list(A), int) -> A',
    '(map(A, B), A) -> B',
    '(optional(list(V)), int) -> optional(V)',
    '(optional(map(K, V)), K) -> optional(V)',
  ],
  '_[?_]': [
    '(list(V), int) -> optional(V)',
    '(optional(list(V)), int) -> optional(V)',
    '(map(K, V), K) -> optional(V)',
    '(optional(map(K, V)), K) -> optional(V)',
  ],
  '_?._': ['(dyn, string) -> optional(V)'],
  '@in': ['(A, list(A)) -> bool', '(A, map(A, B)) -> bool'],
}

const CONVERSIONS: Table = {
  type: ['(A) -> type(A)'],
  bool: ['(bool) -> bool', '(string) -> bool'],
  bytes: ['(bytes) -> bytes', '(string) -> bytes'],
  double: each(['double', 'int', 'string', 'uint'], (type) => `(${type}) -> double`),
  duration: each(['duration', 'string'], (type) => `(${type}) -> duration`),
  dyn: ['(A) -> dyn'],
  int: each(['int', 'double', 'duration', 'string', 'timestamp', 'uint'], (type) => `(${type}) -> int`),
  string: [
    ...each(
      ['string', 'bool', 'bytes', 'double', 'duration', 'int', 'timestamp', 'uint'],
      (type) => `(${type}) -> string`,
    ),
    '(ip) -> string',
    '(cidr) -> string',
  ],
  timestamp: each(['timestamp', 'int', 'string'], (type) => `(${type}) -> timestamp`),
  uint: each(['uint', 'double', 'int', 'string'], (type) => `(${type}) -> uint`),
}

/** Gone with cel-go v0.29. */
const INT_AS_DURATION: Table = { duration: ['(int) -> duration'] }

/** Getters of a timestamp, in UTC or in a time zone. */
const CALENDAR = [
  'getFullYear',
  'getMonth',
  'getDayOfYear',
  'getDayOfMonth',
  'getDate',
  'getDayOfWeek',
  'getHours',
  'getMinutes',
  'getSeconds',
  'getMilliseconds',
]
const CLOCK: ReadonlySet<string> = new Set(['getHours', 'getMinutes', 'getSeconds', 'getMilliseconds'])

const STANDARD: Table = {
  size: ['bytes', 'list(A)', 'map(A, B)', 'string'].flatMap((type) => [
    `(${type}) -> int`,
    `${type}.() -> int`,
  ]),
  contains: ['string.(string) -> bool'],
  endsWith: ['string.(string) -> bool'],
  startsWith: ['string.(string) -> bool'],
  matches: ['(string, string) -> bool', 'string.(string) -> bool'],
  ...Object.fromEntries(
    CALENDAR.map((name) => [
      name,
      [
        'timestamp.() -> int',
        'timestamp.(string) -> int',
        ...(CLOCK.has(name) ? ['duration.() -> int'] : []),
      ],
    ]),
  ),
}

const OPTIONALS: Table = {
  'optional.of': ['(V) -> optional(V)'],
  'optional.ofNonZeroValue': ['(V) -> optional(V)'],
  'optional.none': ['() -> optional(V)'],
  value: ['optional(V).() -> V'],
  hasValue: ['optional(V).() -> bool'],
  or: ['optional(V).(optional(V)) -> optional(V)'],
  orValue: ['optional(V).(V) -> V'],
}

/** cel-go v0.23, which gives the newest of its optionals where none is asked for. */
const MORE_OPTIONALS: Table = {
  'optional.unwrap': ['(list(optional(V))) -> list(V)'],
  last: ['list(V).() -> optional(V)'],
  first: ['list(V).() -> optional(V)'],
  unwrapOpt: ['list(optional(V)).() -> list(V)'],
}

const STRINGS: Table = {
  charAt: ['string.(int) -> string'],
  indexOf: ['list(A).(A) -> int', 'string.(string) -> int', 'string.(string, int) -> int'],
  lastIndexOf: ['list(A).(A) -> int', 'string.(string) -> int', 'string.(string, int) -> int'],
  lowerAscii: ['string.() -> string'],
  upperAscii: ['string.() -> string'],
  replace: ['string.(string, string) -> string', 'string.(string, string, int) -> string'],
  split: ['string.(string) -> list(string)', 'string.(string, int) -> list(string)'],
  substring: ['string.(int) -> string', 'string.(int, int) -> string'],
  trim: ['string.() -> string'],
  format: ['string.(list(dyn)) -> string'],
  'strings.quote': ['(string) -> string'],
  join: ['list(string).() -> string', 'list(string).(string) -> string'],
  find: ['string.(string) -> string'],
  findAll: ['string.(string) -> list(string)', 'string.(string, int) -> list(string)'],
}

const LISTS: Table = {
  isSorted: each(COMPARABLE, (type) => `list(${type}).() -> bool`),
  sum: each(SUMMABLE, (type) => `list(${type}).() -> ${type}`),
  max: each(COMPARABLE, (type) => `list(${type}).() -> ${type}`),
  min: each(COMPARABLE, (type) => `list(${type}).() -> ${type}`),
  'sets.contains': ['(list(T), list(T)) -> bool'],
  'sets.equivalent': ['(list(T), list(T)) -> bool'],
  'sets.intersects': ['(list(T), list(T)) -> bool'],
}

/** What macros of two variables turn into. */
const MAP_INSERT: Table = {
  'cel.@mapInsert': ['(map(K, V), K, V) -> map(K, V)', '(map(K, V), map(K, V)) -> map(K, V)'],
}

/** ext.Lists, version 3. */
const MORE_LISTS: Table = {
  slice: ['list(T).(int, int) -> list(T)'],
  flatten: ['list(list(T)).() -> list(T)', 'list(dyn).(int) -> list(dyn)'],
  sort: each(COMPARABLE, (type) => `list(${type}).() -> list(${type})`),
  '@sortByAssociatedKeys': each(COMPARABLE, (type) => `list(T).(list(${type})) -> list(T)`),
  'lists.range': ['(int) -> list(int)'],
  reverse: ['list(T).() -> list(T)'],
  distinct: ['list(T).() -> list(T)'],
}

const INCLUDES: Table = { includes: ['dyn.(dyn) -> bool'] }

const URLS: Table = {
  url: ['(string) -> url'],
  getScheme: ['url.() -> string'],
  getHost: ['url.() -> string'],
  getHostname: ['url.() -> string'],
  getPort: ['url.() -> string'],
  getEscapedPath: ['url.() -> string'],
  getQuery: ['url.() -> map(string, list(string))'],
  isURL: ['(string) -> bool'],
}

const NETWORK: Table = {
  ip: ['(string) -> ip', 'cidr.() -> ip'],
  family: ['ip.() -> int'],
  'ip.isCanonical': ['(string) -> bool'],
  isUnspecified: ['ip.() -> bool'],
  isLoopback: ['ip.() -> bool'],
  isLinkLocalMulticast: ['ip.() -> bool'],
  isLinkLocalUnicast: ['ip.() -> bool'],
  isGlobalUnicast: ['ip.() -> bool'],
  isIP: ['(string) -> bool'],
  cidr: ['(string) -> cidr'],
  containsIP: ['cidr.(string) -> bool', 'cidr.(ip) -> bool'],
  containsCIDR: ['cidr.(string) -> bool', 'cidr.(cidr) -> bool'],
  prefixLength: ['cidr.() -> int'],
  masked: ['cidr.() -> cidr'],
  isCIDR: ['(string) -> bool'],
}

const QUANTITIES: Table = {
  quantity: ['(string) -> quantity'],
  isQuantity: ['(string) -> bool'],
  sign: ['(quantity) -> int'],
  asApproximateFloat: ['quantity.() -> double'],
  asInteger: ['quantity.() -> int'],
  isInteger: ['quantity.() -> bool'],
  add: ['quantity.(quantity) -> quantity', 'quantity.(int) -> quantity'],
  sub: ['quantity.(quantity) -> quantity', 'quantity.(int) -> quantity'],
  isGreaterThan: ['quantity.(quantity) -> bool'],
  isLessThan: ['quantity.(quantity) -> bool'],
  compareTo: ['quantity.(quantity) -> int'],
}

const SEMVER: Table = {
  semver: ['(string) -> semver', '(string, bool) -> semver'],
  isSemver: ['(string) -> bool', '(string, bool) -> bool'],
  isGreaterThan: ['semver.(semver) -> bool'],
  isLessThan: ['semver.(semver) -> bool'],
  compareTo: ['semver.(semver) -> int'],
  major: ['semver.() -> int'],
  minor: ['semver.() -> int'],
  patch: ['semver.() -> int'],
}

const FORMATS: Table = {
  validate: ['format.(string) -> optional(list(string))'],
  'format.named': ['(string) -> optional(format)'],
  ...Object.fromEntries(
    [
      'dns1123Label',
      'dns1123Subdomain',
      'dns1035Label',
      'qualifiedName',
      'dns1123LabelPrefix',
      'dns1123SubdomainPrefix',
      'dns1035LabelPrefix',
      'labelValue',
      'uri',
      'uuid',
      'byte',
      'date',
      'datetime',
    ].map((name) => [`format.${name}`, ['() -> format']]),
  ),
}

/** Declared everywhere, useful only where admission gives an `authorizer`. */
const AUTHORIZER: Table = {
  path: ['authorizer.(string) -> path_check'],
  group: ['authorizer.(string) -> group_check'],
  serviceAccount: ['authorizer.(string, string) -> authorizer'],
  resource: ['group_check.(string) -> resource_check'],
  subresource: ['resource_check.(string) -> resource_check'],
  namespace: ['resource_check.(string) -> resource_check'],
  name: ['resource_check.(string) -> resource_check'],
  check: ['path_check.(string) -> decision', 'resource_check.(string) -> decision'],
  errored: ['decision.() -> bool'],
  error: ['decision.() -> string'],
  allowed: ['decision.() -> bool'],
  reason: ['decision.() -> string'],
}
const SELECTORS: Table = {
  fieldSelector: ['resource_check.(string) -> resource_check'],
  labelSelector: ['resource_check.(string) -> resource_check'],
}

type Library = { readonly tables: readonly Table[]; readonly from?: number; readonly before?: number }

/** The file format came with 1.30. */
const LIBRARIES: readonly Library[] = [
  {
    tables: [
      OPERATORS,
      CONVERSIONS,
      STANDARD,
      OPTIONALS,
      STRINGS,
      LISTS,
      URLS,
      NETWORK,
      QUANTITIES,
      AUTHORIZER,
    ],
  },
  { tables: [INT_AS_DURATION], before: 37 },
  { tables: [FORMATS, SELECTORS], from: 31 },
  { tables: [MAP_INSERT], from: 32 },
  { tables: [MORE_OPTIONALS, SEMVER], from: 33 },
  { tables: [MORE_LISTS], from: 34 },
  { tables: [INCLUDES], from: 37 },
]

/** All overloads of each function in any release, in the order in which cel-go tries them. */
export const FUNCTIONS: ReadonlyMap<string, readonly Overload[]> = released(LIBRARIES)

function released(libraries: readonly Library[]): ReadonlyMap<string, readonly Overload[]> {
  const functions = new Map<string, readonly Overload[]>()
  for (const { tables, from = 0, before = Number.POSITIVE_INFINITY } of libraries) {
    for (const [name, texts] of tables.flatMap((table) => Object.entries(table))) {
      const overloads = texts.map((text) => signature(text, from, before))
      functions.set(name, [...(functions.get(name) ?? []), ...overloads])
    }
  }
  return functions
}

/** Whether Kubernetes 1.`minor` has it. */
export function isReleased({ from, before }: Overload, minor: number): boolean {
  return minor >= from && minor < before
}
