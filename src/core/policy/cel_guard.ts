// What our CEL profile allows, told by walking the parsed expression: an allow list of functions and identifiers, and
// the forms that the engine understands differently from the CEL specification. docs/policies.md says it to operators.
import { childrenOf } from './cel_ast.ts'
import type { CelNode } from './cel_ast.ts'
import { CEL_CHECKS, CEL_FUNCTIONS, CEL_METHODS, CEL_TYPE_NAMES, CelArgumentError } from './cel_functions.ts'
import { compileSearch } from './re2.ts'

export type GuardProblem = { readonly message: string; readonly wayOut: string; readonly offset: number }

const MAX_COMPREHENSION_DEPTH = 2
const MAX_INT = 9223372036854775807n
const RELATIONS: ReadonlySet<string> = new Set(['==', '!=', 'in', '<', '<=', '>', '>='])

type Scope = { readonly names: ReadonlySet<string>; readonly depth: number }

/** Every problem of an expression over `variables`, in reading order. */
export function* guard(node: CelNode, variables: ReadonlySet<string>): Generator<GuardProblem> {
  yield* visit(node, { names: variables, depth: 0 })
}

function* visit(node: CelNode, scope: Scope): Generator<GuardProblem> {
  yield* problemsOf(node, scope)
  if (node.op !== 'rcall' || CEL_METHODS.get(node.args[0])?.rewrite !== 'comprehension') {
    for (const child of childrenOf(node)) yield* visit(child, scope)
    return
  }
  const [, range, [variable, ...body]] = node.args
  yield* visit(range, scope)
  if (variable === undefined) return
  yield* variableProblems(variable, scope)
  const name = variable.op === 'id' ? variable.args : ''
  const inner = { names: new Set([...scope.names, name]), depth: scope.depth + 1 }
  if (inner.depth > MAX_COMPREHENSION_DEPTH) {
    const wayOut = 'nest at most two of all, exists, exists_one, map, filter'
    yield found(node, 'comprehensions are nested too deep', wayOut)
  }
  for (const child of body) yield* visit(child, inner)
}

function* problemsOf(node: CelNode, scope: Scope): Generator<GuardProblem> {
  switch (node.op) {
    case 'value':
      yield* literalProblems(node, node.args)
      return
    case 'id':
      if (!scope.names.has(node.args) && !CEL_TYPE_NAMES.has(node.args)) {
        yield found(node, `unknown name "${node.args}"`, 'the variables are claims, client and connector')
      }
      return
    case 'call':
      yield* callProblems(node, node.args[0], node.args[1])
      return
    case 'rcall':
      yield* methodProblems(node, node.args[0], node.args[2])
      return
    case '.':
      if (node.args[1].startsWith('__')) yield reserved(node, node.args[1])
      return
    case '.?':
    case '[?]':
      yield found(node, 'optional access is not in the profile', 'ask with has(claims.x) first')
      return
    case 'map':
      yield* mapProblems(node.args)
      return
    case '-_':
      if (node.args.op !== 'value' || typeof node.args.args === 'string') {
        yield found(
          node,
          'only a number literal can be negated',
          'write 0 - x, which is checked for overflow',
        )
      }
      return
    case '==':
    case '!=':
      if (RELATIONS.has(node.args[1].op) || RELATIONS.has(node.args[0].op)) {
        yield found(
          node,
          'comparisons in a chain are read differently by CEL engines',
          'name the parts with && and ||',
        )
      }
      return
    case '!_':
    case '[]':
    case 'list':
    case '?:':
    case '||':
    case '&&':
    case 'in':
    case '<':
    case '<=':
    case '>':
    case '>=':
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return
  }
}

function* literalProblems(node: CelNode, value: unknown): Generator<GuardProblem> {
  if (typeof value === 'bigint' && value > MAX_INT) {
    yield found(node, 'an integer beyond int64', 'write a smaller number')
  }
  // bytes and uint come as objects of the engine.
  if (typeof value === 'object' && value !== null) {
    yield found(node, 'bytes and unsigned integers are not in the profile', 'write a string or an int')
  }
}

function* callProblems(node: CelNode, name: string, args: readonly CelNode[]): Generator<GuardProblem> {
  const shape = CEL_FUNCTIONS.get(name)
  if (shape === undefined) {
    yield unknownFunction(node, name)
    return
  }
  if (!shape.arity.includes(args.length)) yield arity(node, name, shape.arity)
  // What can be known to fail at run time is said now.
  const [literal] = args
  const check = CEL_CHECKS.get(name)
  if (check === undefined || literal?.op !== 'value') return
  try {
    check(literal.args)
  } catch (error) {
    if (!(error instanceof CelArgumentError)) throw error
    yield found(literal, `${name}() does not take this`, 'docs/policies.md says which texts it takes')
  }
}

function* methodProblems(node: CelNode, name: string, args: readonly CelNode[]): Generator<GuardProblem> {
  const shape = CEL_METHODS.get(name)
  if (shape === undefined) {
    yield unknownFunction(node, name)
    return
  }
  if (!shape.arity.includes(args.length)) yield arity(node, name, shape.arity)
  const [pattern] = args
  if (shape.rewrite !== 'pattern' || pattern === undefined) return
  if (pattern.op !== 'value' || typeof pattern.args !== 'string') {
    yield found(pattern, 'the pattern of matches() must be a literal', 'write the pattern in quotes')
    return
  }
  const compiled = compileSearch(pattern.args)
  if (!compiled.ok) yield found(pattern, compiled.problem.message, compiled.problem.wayOut)
}

function* variableProblems(node: CelNode, scope: Scope): Generator<GuardProblem> {
  const wayOut = 'write a new name: groups.exists(g, g == "x")'
  if (node.op !== 'id') yield found(node, 'the first argument must be a variable', wayOut)
  else if (node.args.startsWith('__')) yield reserved(node, node.args)
  else if (scope.names.has(node.args) || CEL_TYPE_NAMES.has(node.args)) {
    yield found(node, `"${node.args}" already has a meaning here`, wayOut)
  }
}

function* mapProblems(entries: readonly (readonly [CelNode, CelNode])[]): Generator<GuardProblem> {
  const seen = new Set<string>(['__proto__', 'constructor', 'prototype'])
  for (const [key] of entries) {
    if (key.op !== 'value' || typeof key.args !== 'string' || seen.has(key.args)) {
      yield found(key, 'map keys must be different string literals', 'write {"a": 1, "b": 2}')
    } else seen.add(key.args)
  }
}

function unknownFunction(node: CelNode, name: string): GuardProblem {
  return found(node, `"${name}" is not a function of the profile`, 'docs/policies.md lists the functions')
}

function arity(node: CelNode, name: string, counts: readonly number[]): GuardProblem {
  return found(node, `${name} takes ${counts.join(' or ')} arguments`, 'docs/policies.md lists the functions')
}

function reserved(node: CelNode, name: string): GuardProblem {
  return found(node, `names that begin with __ are reserved: "${name}"`, 'for a claim write claims["..."]')
}

function found(node: CelNode, message: string, wayOut: string): GuardProblem {
  return { message, wayOut, offset: node.start }
}
