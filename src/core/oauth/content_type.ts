// What a Content-Type header means to a form endpoint. Dex (Go's ParseForm) reads only urlencoded forms, takes every
// other type as an empty body, and refuses a header that cannot be parsed (mime.ParseMediaType).

export type FormContentType = 'form' | 'other' | 'malformed'

export const FORM_TYPE = 'application/x-www-form-urlencoded'

const TYPE = /^[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?)[ \t]*(?=;|$)/
/** A quoted value without escapes: nobody writes one, and two readers may end it at different places. */
const PARAMETER =
  /[ \t]*;[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|"([^"\\\r\n]*)")/y
const END = /[ \t]*;?[ \t]*$/y

/** `header` as received; `undefined` when absent (Go then assumes application/octet-stream). */
export function formContentType(header: string | undefined): FormContentType {
  if (header === FORM_TYPE) return 'form'
  if (header === undefined || header === '') return 'other'
  const type = TYPE.exec(header)
  const parameters = type === null ? undefined : parametersOf(header, type[0].length)
  if (parameters === undefined) return 'malformed'
  if (type?.[1]?.toLowerCase() !== FORM_TYPE) return 'other'
  return isUtf8(parameters.get('charset')) ? 'form' : 'malformed'
}

/** By name in small letters; `undefined` when one is malformed or comes twice. */
function parametersOf(header: string, from: number): ReadonlyMap<string, string> | undefined {
  const parameters = new Map<string, string>()
  let at = from
  for (;;) {
    PARAMETER.lastIndex = at
    const [, name, token, quoted = ''] = PARAMETER.exec(header) ?? []
    if (name === undefined) break
    at = PARAMETER.lastIndex
    if (parameters.has(name.toLowerCase())) return undefined
    parameters.set(name.toLowerCase(), token ?? quoted)
  }
  END.lastIndex = at
  return END.test(header) ? parameters : undefined
}

function isUtf8(charset: string | undefined): boolean {
  return charset === undefined || /^(?:utf-8|utf8|us-ascii)$/i.test(charset)
}
