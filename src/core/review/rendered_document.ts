// What a renderer made of files has no lines of its own: each part of it is shown where the file has it that it came from.
import { isSameValue } from '#core/module/reading.ts'
import { ownField } from '#core/own_field.ts'
import { isFields } from './reviewed_object.ts'
import type { ObjectPath, Place, ReviewedDocument } from './reviewed_object.ts'

/**
 * @param data one rendered object
 * @param raw documents of the files that it may come from
 * @param kustomization where to show what is in none of them
 */
export function renderedDocument(
  data: unknown,
  raw: readonly ReviewedDocument[],
  kustomization: { readonly within: string; readonly place: Place },
): ReviewedDocument {
  const { within, place } = kustomization
  const key = nameOf(data)
  const source = key === undefined ? undefined : raw.find((document) => nameOf(document.data) === key)
  if (source === undefined) return { data, within, placeOf: () => place }
  return {
    data,
    within,
    placeOf: (path) => {
      const isAsWritten = isSameValue(valueAt(data, path), valueAt(source.data, path))
      return source.placeOf(isAsWritten ? path : path.slice(0, -1)) ?? place
    },
  }
}

/** The namespace is what kustomizations add, mostly. */
function nameOf(data: unknown): string | undefined {
  if (!isFields(data) || !isFields(data['metadata'])) return undefined
  return JSON.stringify([data['apiVersion'], data['kind'], data['metadata']['name']])
}

function valueAt(data: unknown, path: ObjectPath): unknown {
  let value = data
  for (const step of path) value = ownField(value, step)
  return value
}
