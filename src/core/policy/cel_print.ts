// Prints a guarded expression as the engine shall run it: every operation in parentheses, literals copied from the
// source, strict functions in the engine's place, and a charge wherever work can grow with the input.
// (The engine's own serialize() changes meaning: it drops parentheses and digits.)
import { countNodes, isScalarLiteral } from './cel_ast.ts'
import type { CelNode } from './cel_ast.ts'
import { CEL_FUNCTIONS, CEL_METHODS } from './cel_functions.ts'

export type Printed = {
  readonly text: string
  /** Literal patterns of matches(), by the index that stands in the text. */
  readonly patterns: readonly string[]
  /** The smallest part of the source that a part of the text came from. */
  readonly sourceOf: (
    from: number,
    to: number,
  ) => { readonly start: number; readonly end: number } | undefined
}

type Span = { readonly from: number; readonly to: number; readonly start: number; readonly end: number }

/** Nodes of a comprehension's body that one charged unit pays for. */
const NODES_PER_UNIT = 4

export function print(root: CelNode, source: string): Printed {
  const patterns: string[] = []
  const spans: Span[] = []
  let text = ''

  const put = (part: string | CelNode): void => {
    if (typeof part === 'string') {
      text += part
      return
    }
    const from = text.length
    putNode(part)
    spans.push({ from, to: text.length, start: part.start, end: part.end })
  }
  const parts = (...all: readonly (string | CelNode)[]): void => {
    for (const one of all) put(one)
  }
  const listed = (nodes: readonly CelNode[]): void => {
    for (const [index, node] of nodes.entries()) parts(index === 0 ? '' : ', ', node)
  }

  function putNode(node: CelNode): void {
    switch (node.op) {
      case 'value':
        return put(source.slice(node.start, node.end))
      case 'id':
        return put(node.args)
      case '.':
        return parts(node.args[0], `.${node.args[1]}`)
      case '[]':
        return parts(node.args[0], '[', node.args[1], ']')
      case 'call':
        return putCall(node.args[0], node.args[1])
      case 'rcall':
        return putMethod(node.args[0], node.args[1], node.args[2])
      case 'list':
        put('[')
        listed(node.args)
        return put(']')
      case 'map':
        put('{')
        for (const [index, [key, value]] of node.args.entries()) {
          parts(index === 0 ? '' : ', ', key, ': ', value)
        }
        return put('}')
      case '?:':
        return parts('(', node.args[0], ' ? ', node.args[1], ' : ', node.args[2], ')')
      case '!_':
        return parts('(!', node.args, ')')
      case '-_':
        return parts('(-', node.args, ')')
      case '+':
        return parts('__charge((', node.args[0], ' + ', node.args[1], '))')
      case 'in':
        if (node.args[1].op === 'list') return parts('(', node.args[0], ' in ', node.args[1], ')')
        return parts('(', node.args[0], ' in __charge(', node.args[1], '))')
      case '==':
      case '!=':
        if (node.args.some(isScalarLiteral))
          return parts('(', node.args[0], ` ${node.op} `, node.args[1], ')')
        return parts('(__deep(', node.args[0], `) ${node.op} `, node.args[1], ')')
      case '||':
      case '&&':
      case '<':
      case '<=':
      case '>':
      case '>=':
      case '-':
      case '*':
      case '%':
        return parts('(', node.args[0], ` ${node.op} `, node.args[1], ')')
      case '/':
        return parts('__int64((', node.args[0], ' / ', node.args[1], '))')
      case '.?':
      case '[?]':
        throw new Error('optional access passed the guard')
    }
  }

  function putCall(name: string, args: readonly CelNode[]): void {
    const [field] = args
    // The engine says "no" of a list or a text, which has no fields to ask for; CEL says that the question is wrong.
    if (name === 'has' && field?.op === '.' && field.args[0].args !== 'claims') {
      return parts('(__members(', field.args[0], ') ? has(', field, ') : false)')
    }
    const rewrite = CEL_FUNCTIONS.get(name)?.rewrite
    const wrapper = rewrite === 'check' ? `__${name}(` : rewrite === 'charge' ? '__charge(' : undefined
    parts(name, '(', wrapper ?? '')
    listed(args)
    parts(wrapper === undefined ? '' : ')', ')')
  }

  function putMethod(name: string, receiver: CelNode, args: readonly CelNode[]): void {
    switch (CEL_METHODS.get(name)?.rewrite) {
      case 'pattern': {
        const [pattern] = args
        patterns.push(pattern?.op === 'value' ? String(pattern.args) : '')
        return parts('__matches(', receiver, `, ${patterns.length - 1})`)
      }
      case 'comprehension':
        parts('__each(', receiver, `, ${Math.ceil(args.reduce(addNodes, 0) / NODES_PER_UNIT)}).${name}(`)
        break
      case 'charge':
        parts('__charge(', receiver, `).${name}(`)
        break
      case 'strict':
        parts(receiver, `.__${name}(`)
        break
      case 'plain':
      case 'check':
      case undefined:
        parts(receiver, `.${name}(`)
    }
    listed(args)
    put(')')
  }

  put(root)
  // Children were pushed before their parents, so the first span that holds a part is the innermost one.
  return { text, patterns, sourceOf: (from, to) => spans.find((span) => span.from <= from && to <= span.to) }
}

function addNodes(sum: number, node: CelNode): number {
  return sum + countNodes(node)
}
