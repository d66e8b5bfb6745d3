// The type checker of CEL as kube-apiserver runs it (cel-go v0.26 checker/checker.go, with cross-type numeric
// comparisons): gives each node its type, or says what is wrong in the apiserver's words.
import { FUNCTIONS, isReleased } from './declarations.ts'
import { Substitution, isDynamicOrError, mismatch, moreGeneral, unwrapped } from './substitution.ts'
import { qualifiedName } from './syntax.ts'
import {
  BOOL,
  BYTES,
  DOUBLE,
  DYN,
  ERROR,
  INT,
  NULL,
  STRING,
  UINT,
  formatArguments,
  formatType,
  isDynamic,
  isSameType,
  isWellKnown,
  listOf,
  mapOf,
  optionalOf,
  parameterOf,
} from './type.ts'
import type { Environment } from './environment.ts'
import type {
  CallNode,
  CelExpression,
  ComprehensionNode,
  ListNode,
  LiteralNode,
  MapNode,
  Place,
  SelectNode,
  StructNode,
} from './syntax.ts'
import type { CelType } from './type.ts'

/** What a node turned out to mean beside its type. */
export type Reference =
  /** An identifier, or `a.b.c` that is one name: a variable. */
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'constant'; readonly value: bigint }
  | { readonly kind: 'type'; readonly type: CelType; readonly isRegistered: boolean; readonly name: string }
  /** A function by its full name; its target is part of the name when `isQualified`. `overloads` are those that fit. */
  | {
      readonly kind: 'function'
      readonly name: string
      readonly isQualified: boolean
      readonly overloads: readonly number[]
    }

type TypeProblem = { readonly message: string; readonly place: Place }

export type TypedTree = {
  readonly tree: CelExpression
  readonly types: ReadonlyMap<CelExpression, CelType>
  readonly references: ReadonlyMap<CelExpression, Reference>
}

export type TypeChecked =
  | { readonly ok: true; readonly typed: TypedTree }
  /** In the order of the text, at least one. */
  | { readonly ok: false; readonly problems: readonly TypeProblem[] }

export function checkTypes(tree: CelExpression, environment: Environment): TypeChecked {
  return new Checker(environment).run(tree)
}

/** cel-go v0.29. */
const STRICT_SCOPES_FROM = 37

const LITERAL_TYPES = {
  null: NULL,
  bool: BOOL,
  int: INT,
  uint: UINT,
  double: DOUBLE,
  string: STRING,
  bytes: BYTES,
}

class Checker {
  readonly #environment: Environment
  readonly #substitution = new Substitution()
  readonly #types = new Map<CelExpression, CelType>()
  readonly #references = new Map<CelExpression, Reference>()
  readonly #problems: TypeProblem[] = []
  /** Variables of comprehensions, innermost last. */
  readonly #scopes: ReadonlyMap<string, CelType>[] = []

  constructor(environment: Environment) {
    this.#environment = environment
  }

  run(tree: CelExpression): TypeChecked {
    this.#check(tree)
    const types = new Map(
      [...this.#types].map(([node, type]) => [node, this.#substitution.apply(type, true)]),
    )
    if (this.#substitution.isExhausted) {
      this.#report(tree.place, 'the types of the expression are too large to be checked')
    }
    if (this.#problems.length === 0) return { ok: true, typed: { tree, types, references: this.#references } }
    return { ok: false, problems: this.#problems.toSorted((a, b) => comparePlaces(a.place, b.place)) }
  }

  #check(node: CelExpression): CelType {
    const type = this.#typeOf(node)
    this.#types.set(node, type)
    return type
  }

  #typeOf(node: CelExpression): CelType {
    if (this.#substitution.isExhausted) return ERROR
    switch (node.kind) {
      case 'literal':
        return literalType(node)
      case 'identifier':
        return this.#named(node, node.name) ?? this.#undeclared(node.place, node.name)
      case 'select':
        return this.#checkSelect(node)
      case 'call':
        return this.#checkCall(node)
      case 'list':
        return this.#checkList(node)
      case 'map':
        return this.#checkMap(node)
      case 'struct':
        return this.#checkStruct(node)
      case 'comprehension':
        return this.#checkComprehension(node)
    }
  }

  /**
   * What a name means here. There is no container, and a leading dot changes nothing, up to 1.36. From 1.37 on it passes by
   * the variables of macros, and without it what begins with such a variable is a selection and no longer name.
   */
  #named(node: CelExpression, name: string): CelType | undefined {
    const full = name.replace(/^\./, '')
    const isScoped = this.#environment.minor >= STRICT_SCOPES_FROM
    const local = isScoped && full !== name ? undefined : this.#localType(full)
    if (isScoped && local === undefined && this.#localType(name.split('.', 1)[0] ?? '') !== undefined) {
      return undefined
    }
    if (local !== undefined) {
      this.#references.set(node, { kind: 'variable', name: full })
      return local
    }
    const declared = this.#environment.find(full)
    if (declared === undefined) return undefined
    this.#references.set(node, declared.kind === 'constant' ? declared : { ...declared, name: full })
    return declared.type
  }

  #localType(name: string): CelType | undefined {
    return this.#scopes.findLast((variables) => variables.has(name))?.get(name)
  }

  #checkSelect(node: SelectNode): CelType {
    const name = qualifiedName(node)
    const named = name === undefined ? undefined : this.#named(node, name)
    if (named !== undefined) return named
    const result = this.#fieldType(node.place, node.operand, node.field, false)
    return node.isTest ? BOOL : this.#substitution.apply(result)
  }

  #fieldType(place: Place, operand: CelExpression, field: string, makesOptional: boolean): CelType {
    const { type, isOptional } = unwrapped(this.#substitution.apply(this.#check(operand)))
    const result = this.#fieldOf(place, type, field)
    return isOptional || makesOptional ? optionalOf(result) : result
  }

  #fieldOf(place: Place, type: CelType, field: string): CelType {
    if (type.kind === 'map') return parameterOf(type, 1)
    if (type.kind === 'struct') return this.#lookUpField(place, type.name, field) ?? ERROR
    if (type.kind === 'param') this.#substitution.isAssignable(DYN, type)
    else if (!isDynamicOrError(type)) {
      this.#report(place, `type '${formatType(type)}' does not support field selection`)
    }
    return DYN
  }

  #lookUpField(place: Place, typeName: string, field: string): CelType | undefined {
    const fields = this.#environment.fieldsOf(typeName)
    const type = fields?.get(field)
    if (fields === undefined) this.#report(place, `unexpected failed resolution of '${typeName}'`)
    else if (type === undefined) this.#report(place, `undefined field '${field}'`)
    return type
  }

  #checkCall(node: CallNode): CelType {
    if (node.name === '_?._') return this.#checkOptionalSelect(node)
    for (const argument of node.arguments) this.#check(argument)
    if (node.target === undefined) {
      const name = node.name.replace(/^\./, '')
      return this.#environment.hasFunction(name)
        ? this.#resolve(node, name, false)
        : this.#undeclared(node.place, node.name)
    }
    const prefix = qualifiedName(node.target)
    const qualified = prefix === undefined ? undefined : `${prefix}.${node.name}`.replace(/^\./, '')
    if (qualified !== undefined && this.#environment.hasFunction(qualified))
      return this.#resolve(node, qualified, true)
    this.#check(node.target)
    if (this.#environment.hasFunction(node.name)) return this.#resolve(node, node.name, false)
    return this.#undeclared(node.place, node.name)
  }

  #checkOptionalSelect(node: CallNode): CelType {
    const [operand, field] = node.arguments
    if (operand === undefined || field?.kind !== 'literal' || field.literal.kind !== 'string') {
      return this.#report(node.place, 'unsupported optional field selection')
    }
    const result = this.#substitution.apply(this.#fieldType(node.place, operand, field.literal.value, true))
    this.#references.set(node, { kind: 'function', name: node.name, isQualified: false, overloads: [0] })
    return result
  }

  /** Finds the overloads that fit. The first decides the type; where several fit and differ it is `dyn`. */
  #resolve(node: CallNode, name: string, isQualified: boolean): CelType {
    const target = isQualified ? undefined : node.target
    const operands = target === undefined ? node.arguments : [target, ...node.arguments]
    const types = operands.map((operand) => this.#types.get(operand) ?? ERROR)
    if (name === '_&&_' || name === '_||_') return this.#checkLogic(node, name, operands, types)
    const fitting: number[] = []
    let result: CelType | undefined
    for (const [index, overload] of (FUNCTIONS.get(name) ?? []).entries()) {
      if (overload.isMember !== (target !== undefined) || !isReleased(overload, this.#environment.minor))
        continue
      const declared = [overload.result, ...overload.arguments]
      const [returned = ERROR, ...wanted] = this.#substitution.instantiate(overload.typeParameters, declared)
      if (!this.#substitution.isAssignableList(types, wanted)) continue
      fitting.push(index)
      const own = this.#substitution.apply(returned)
      if (result === undefined) result = own
      else if (!isDynamic(result) && !isSameType(own, result)) result = DYN
    }
    if (result === undefined) return this.#noOverload(node, name, types, target !== undefined)
    this.#references.set(node, { kind: 'function', name, isQualified, overloads: fitting })
    return result
  }

  #checkLogic(
    node: CallNode,
    name: string,
    operands: readonly CelExpression[],
    types: readonly CelType[],
  ): CelType {
    const before = this.#problems.length
    for (const [index, type] of types.entries()) {
      if (this.#substitution.isAssignable(type, BOOL)) continue
      this.#report(operands[index]?.place ?? node.place, mismatch(BOOL, type))
    }
    if (this.#problems.length > before) return ERROR
    this.#references.set(node, { kind: 'function', name, isQualified: false, overloads: [0] })
    return BOOL
  }

  #noOverload(node: CallNode, name: string, types: readonly CelType[], isMember: boolean): CelType {
    const final = types.map((type) => this.#substitution.apply(type, true))
    const applied = formatArguments(final, isMember)
    return this.#report(node.place, `found no matching overload for '${name}' applied to '${applied}'`)
  }

  #checkList(node: ListNode): CelType {
    let joined: CelType | undefined
    for (const { value, isOptional } of node.elements) {
      const type = this.#entryType(value, isOptional)
      joined = this.#join(joined, type)
    }
    return listOf(joined ?? this.#substitution.freshParameter())
  }

  #checkMap(node: MapNode): CelType {
    let keys: CelType | undefined
    let values: CelType | undefined
    for (const { key, value, isOptional } of node.entries) {
      keys = this.#join(keys, this.#check(key))
      values = this.#join(values, this.#entryType(value, isOptional))
    }
    return mapOf(keys ?? this.#substitution.freshParameter(), values ?? this.#substitution.freshParameter())
  }

  /** The type of an element; one with `?` before it must be an optional, and counts as what is inside. */
  #entryType(value: CelExpression, isOptional: boolean): CelType {
    const type = this.#check(value)
    if (!isOptional) return type
    const inside = unwrapped(type)
    if (!inside.isOptional && !isDynamic(type)) this.#report(value.place, mismatch(optionalOf(type), type))
    return inside.type
  }

  /** Literals of mixed types are refused later, by validators.ts: the arguments of `format` may mix. */
  #join(previous: CelType | undefined, current: CelType): CelType {
    if (previous === undefined) return current
    return this.#substitution.isAssignable(previous, current) ? moreGeneral(previous, current) : DYN
  }

  #checkStruct(node: StructNode): CelType {
    const declared = this.#named(node, node.typeName)
    if (declared === undefined) return this.#undeclared(node.place, node.typeName)
    const type = this.#messageType(node, declared)
    const typeName = this.#messageName(node, type)
    for (const field of node.fields) {
      const value = this.#entryType(field.value, field.isOptional)
      const wanted = this.#lookUpField(field.place, typeName, field.name) ?? ERROR
      if (this.#substitution.isAssignable(wanted, value)) continue
      const types = `'${formatType(wanted)}' but provided type is '${formatType(value)}'`
      this.#report(field.place, `expected type of field '${field.name}' is ${types}`)
    }
    return type
  }

  #messageType(node: StructNode, declared: CelType): CelType {
    if (declared.kind !== 'type') return this.#report(node.place, `'${declared.name}' is not a type`)
    const type = parameterOf(declared, 0)
    if (type.kind === 'struct' || isWellKnown(type)) return type
    return this.#report(node.place, `'${type.name}' is not a message type`)
  }

  /** `duration{…}` has the fields of google.protobuf.Duration. */
  #messageName(node: StructNode, type: CelType): string {
    const isMoment = type.kind === 'duration' || type.kind === 'timestamp'
    return isMoment ? type.name : node.typeName.replace(/^\./, '')
  }

  #checkComprehension(node: ComprehensionNode): CelType {
    const unbound = this.#check(node.range)
    const accumulated = this.#check(node.initial)
    const range = this.#substitution.apply(unbound)
    this.#scopes.push(new Map([[node.accumulator, accumulated]]))
    this.#scopes.push(this.#iterated(node, range))
    this.#assert(node.condition, BOOL)
    this.#assert(node.step, accumulated)
    this.#scopes.pop()
    const result = this.#check(node.result)
    this.#scopes.pop()
    return this.#substitution.apply(result)
  }

  /** The types of the variables of a loop over `range`. */
  #iterated(node: ComprehensionNode, range: CelType): ReadonlyMap<string, CelType> {
    const [first, second] = this.#elementTypes(node, range)
    const { variable, secondVariable } = node
    if (secondVariable === undefined) return new Map([[variable, first]])
    return new Map([
      [variable, range.kind === 'list' ? INT : first],
      [secondVariable, range.kind === 'list' ? first : second],
    ])
  }

  #elementTypes(node: ComprehensionNode, range: CelType): readonly [CelType, CelType] {
    switch (range.kind) {
      case 'list':
      case 'map':
        return [parameterOf(range, 0), parameterOf(range, 1)]
      case 'dyn':
      case 'error':
      case 'param':
        this.#substitution.isAssignable(DYN, range)
        return [DYN, DYN]
      // `any`, the type of each claim, is dynamic everywhere but here.
      case 'any':
      case 'bool':
      case 'bytes':
      case 'double':
      case 'duration':
      case 'int':
      case 'null':
      case 'opaque':
      case 'string':
      case 'struct':
      case 'timestamp':
      case 'type':
      case 'uint': {
        const message = `expression of type '${formatType(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`
        this.#report(node.range.place, message)
        return [ERROR, ERROR]
      }
    }
  }

  #assert(node: CelExpression, wanted: CelType): void {
    const type = this.#check(node)
    if (!this.#substitution.isAssignable(wanted, type)) this.#report(node.place, mismatch(wanted, type))
  }

  #undeclared(place: Place, name: string): CelType {
    return this.#report(place, `undeclared reference to '${name}' (in container '')`)
  }

  #report(place: Place, message: string): CelType {
    this.#problems.push({ place, message })
    return ERROR
  }
}

function literalType(node: LiteralNode): CelType {
  return LITERAL_TYPES[node.literal.kind]
}

function comparePlaces(left: Place, right: Place): number {
  return left.line - right.line || left.column - right.column
}
