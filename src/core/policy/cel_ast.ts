// The shape of a parsed CEL expression, as the engine of cel.ts gives it. Only what the guard and the printer rely on.

export type CelNode =
  | CelNodeOf<'value', unknown>
  | CelNodeOf<'id', string>
  | CelAccess
  | CelPair
  | CelCall
  | CelMethodCall
  | CelList
  | CelMap
  | CelTernary
  | CelUnary

interface CelAccess extends CelNodeOf<'.' | '.?', readonly [CelNode, string]> {}
interface CelPair extends CelNodeOf<CelBinary | '[]' | '[?]', readonly [CelNode, CelNode]> {}
interface CelCall extends CelNodeOf<'call', readonly [string, readonly CelNode[]]> {}
interface CelMethodCall extends CelNodeOf<'rcall', readonly [string, CelNode, readonly CelNode[]]> {}
interface CelList extends CelNodeOf<'list', readonly CelNode[]> {}
interface CelMap extends CelNodeOf<'map', readonly (readonly [CelNode, CelNode])[]> {}
interface CelTernary extends CelNodeOf<'?:', readonly [CelNode, CelNode, CelNode]> {}
interface CelUnary extends CelNodeOf<'!_' | '-_', CelNode> {}

type CelBinary = '||' | '&&' | '==' | '!=' | 'in' | '<' | '<=' | '>' | '>=' | '+' | '-' | '*' | '/' | '%'

/** `start` and `end` are offsets in the text, in UTF-16 units. */
interface CelNodeOf<Op extends string, Args> {
  readonly op: Op
  readonly args: Args
  readonly start: number
  readonly end: number
}

export function childrenOf(node: CelNode): readonly CelNode[] {
  switch (node.op) {
    case 'value':
    case 'id':
      return []
    case '.':
    case '.?':
      return [node.args[0]]
    case 'call':
      return node.args[1]
    case 'rcall':
      return [node.args[1], ...node.args[2]]
    case 'map':
      return node.args.flat()
    case '!_':
    case '-_':
      return [node.args]
    case 'list':
    case '?:':
    case '[]':
    case '[?]':
    case '||':
    case '&&':
    case '==':
    case '!=':
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
      return node.args
  }
}

export function countNodes(node: CelNode): number {
  return childrenOf(node).reduce((sum, child) => sum + countNodes(child), 1)
}

/** A literal whose comparison costs nothing to speak of. */
export function isScalarLiteral(node: CelNode): boolean {
  return node.op === 'value' || (node.op === '-_' && node.args.op === 'value')
}
