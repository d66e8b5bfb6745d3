// Dex's `sub` as any protobuf reader would take it apart, and then only in the one spelling that Dex writes.
import { slowBase64url, utf8Text } from './text.ts'

/** `undefined`: nothing that Dex wrote. */
export function slowSubject(
  text: string,
): { readonly userId: string; readonly connectorId: string } | undefined {
  const bytes = slowBase64url(text)
  if (bytes === undefined || bytes.length === 0) return undefined
  const fields: { readonly number: number; readonly text: string }[] = []
  let rest = [...bytes]
  while (rest.length > 0) {
    const tag = rest.shift() ?? 0
    const length: number[] = []
    do length.push(rest.shift() ?? 0)
    while ((length.at(-1) ?? 0) >= 0x80 && rest.length > 0)
    const size = length.reduce((sum, byte, index) => sum + (byte % 0x80) * 128 ** index, 0)
    const isShortest = (length.at(-1) ?? 0) < 0x80 && (length.length === 1 || length.at(-1) !== 0)
    const value = utf8Text(Uint8Array.from(rest.slice(0, size)))
    if (tag % 8 !== 2 || !isShortest || size === 0 || size > rest.length || value === undefined)
      return undefined
    fields.push({ number: (tag - 2) / 8, text: value })
    rest = rest.slice(size)
  }
  const numbers = fields.map(({ number }) => number).join()
  if (!['1', '2', '1,2'].includes(numbers)) return undefined
  const textOf = (number: number) => fields.find((field) => field.number === number)?.text ?? ''
  return { userId: textOf(1), connectorId: textOf(2) }
}
