// Where a piece of text stands in the operator's file: the file itself, a template rendered from it, a block scalar
// inside it. Each knows how its lines lead back, so that a finding deep inside a ConfigMap names the right line.
import type { Place } from './finding.ts'
import { readYaml } from './yaml_document.ts'
import type { YamlDocument, YamlPath, YamlRead } from './yaml_document.ts'

export type TextSource = {
  readonly text: string
  /** Place in the operator's file of a line and column (from 1) of `text`. */
  readonly locate: (line: number, column: number) => Place
}

export function wholeFile(file: string, text: string): TextSource {
  return { text, locate: (line, column) => ({ file, line, column }) }
}

/** YAML of a text, with every place in the operator's file. */
export function readSource(source: TextSource): YamlRead {
  const read = readYaml('', source.text)
  const back = (place: Place | undefined): Place | undefined =>
    place === undefined ? undefined : source.locate(place.line, place.column)
  return {
    findings: read.findings.map((finding) => ({ ...finding, place: back(finding.place) })),
    documents: read.documents.map((document) => ({
      data: document.data,
      placeOf: (path) => back(document.placeOf(path)),
      sourceOf: (path) => document.sourceOf(path),
      placeInText: (path, offset) => back(document.placeInText(path, offset)),
    })),
  }
}

/** A text made from another one, with the way back of each of its characters. */
export type Rendered = {
  readonly text: string
  readonly sourceOffset: (offset: number) => number
}

/** A template's output; its lines lead back to the line of the template. */
export function renderedSource(source: TextSource, template: Rendered): TextSource {
  return {
    text: template.text,
    locate: (line, column) => {
      const place = lineAndColumn(source.text, template.sourceOffset(offsetOf(template.text, line, column)))
      return source.locate(place.line, place.column)
    },
  }
}

export function placeOfOffset(source: TextSource, offset: number): Place {
  const { line, column } = lineAndColumn(source.text, offset)
  return source.locate(line, column)
}

/** A text that stands at `path` in another form (base64): all of it has the place of its key. */
export function opaqueSource(document: YamlDocument, path: YamlPath, text: string): TextSource {
  const key = document.placeOf(path) ?? { file: '', line: 1, column: 1 }
  return { text, locate: () => key }
}

/** The text at `path` of a document, whichever way it is written there. */
export function embeddedSource(document: YamlDocument, path: YamlPath, text: string): TextSource {
  const key = document.placeOf(path) ?? { file: '', line: 1, column: 1 }
  return {
    text,
    locate: (line, column) => document.placeInText(path, offsetOf(text, line, column)) ?? key,
  }
}

function offsetOf(text: string, line: number, column: number): number {
  let offset = 0
  for (let passed = 1; passed < line; passed += 1) offset = text.indexOf('\n', offset) + 1
  return offset + column - 1
}

function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}
