// What a Content-Type header means to a form endpoint. Dex (Go's ParseForm) reads only urlencoded forms, takes every
// other type as an empty body, and refuses a header that cannot be parsed.

export type FormContentType = 'form' | 'other' | 'malformed'

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** `header` as received; `undefined` when absent (Go then assumes application/octet-stream). */
export function formContentType(header: string | undefined): FormContentType {
  if (header === 'application/x-www-form-urlencoded') return 'form'
  if (header === undefined || header === '') return 'other'
  const [type = '', ...parameters] = header.split(';')
  const parts = type.trim().split('/')
  if (parts.length > 2 || parts.some((part) => !TOKEN.test(part))) return 'malformed'
  const named = parameters.map((parameter) => parameter.trim()).filter((parameter) => parameter !== '')
  if (named.some((parameter) => !isParameter(parameter))) return 'malformed'
  if (type.trim().toLowerCase() !== 'application/x-www-form-urlencoded') return 'other'
  const charset = named
    .map((parameter) => parameter.toLowerCase())
    .find((parameter) => parameter.startsWith('charset='))
  const isUtf8 = charset === undefined || /^charset="?(utf-8|utf8|us-ascii)"?$/.test(charset)
  return isUtf8 ? 'form' : 'malformed'
}

function isParameter(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=', 2)
  return TOKEN.test(name.trim()) && (TOKEN.test(value) || /^"[^"]*"$/.test(value))
}
