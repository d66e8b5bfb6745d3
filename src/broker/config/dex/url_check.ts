// Whether a text is a URL that a Dex configuration can mean. WHATWG's parser lets `https://${HOST}/` pass.

/** An http or https URL whose host is a name or an address. */
export function parseHttpUrl(text: string): URL | undefined {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || /[\s{}]/.test(text)) return undefined
  return /^(?:[\w.-]+|\[[0-9a-f:.]+\])$/.test(url.hostname) ? url : undefined
}

/** What to write in place of a text that is none. */
export function urlWayOut(text: string, expanded: boolean): string {
  if (text.includes('$') && !expanded) {
    return 'Dex expands no variables here: render the file first (envsubst), or write {{ .Env.NAME }}'
  }
  return 'write it with its scheme: https://host/path'
}
