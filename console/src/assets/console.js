// What pages cannot do without a script: security keys, keys of the keyboard, copying, counting down, the theme.
'use strict'

const all = (selector, root = document) => [...root.querySelectorAll(selector)]
const one = (selector, root = document) => root.querySelector(selector)

// Theme: a cookie, so that the next page comes in it.
const theme = () => {
  const root = document.documentElement
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
  root.dataset.theme = dark ? 'light' : 'dark'
  const secure = location.protocol === 'https:' ? '; Secure' : ''
  document.cookie = `theme=${root.dataset.theme}; Path=/; SameSite=Lax; Max-Age=31536000${secure}`
}

const help = () => one('#help')?.showModal()

const dress = (root) => {
  for (const button of all('[data-copy]', root)) {
    button.hidden = false
    button.onclick = async () => {
      await navigator.clipboard.writeText(one('code', button.parentElement).textContent)
      button.textContent = 'Copied'
      setTimeout(() => { button.textContent = 'Copy' }, 1500)
    }
  }
  for (const form of all('form[data-vote]', root)) form.onsubmit = vote
  for (const form of all('form[data-register]', root)) form.onsubmit = register
}

const span = (s) => {
  if (s < 60) return `${s} s`
  if (s < 5400) return `${Math.ceil(s / 60)} min`
  return s % 3600 < 60 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`
}
const count = () => {
  const now = Math.floor(Date.now() / 1000)
  for (const time of all('time[data-until]')) {
    const left = Number(time.dataset.until) - now
    if (left < 172800) time.textContent = left > 0 ? `in ${span(left)}` : 'over'
  }
}

// Bytes of authenticators travel as base64url.
const pack = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
const unpack = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))

const send = async (path, fields) => {
  const answer = await fetch(path, { method: 'POST', body: new URLSearchParams(fields), credentials: 'same-origin' })
  const body = await answer.json()
  if (!answer.ok) throw new Error(body.message)
  return body
}

const tell = (form, error) => {
  const place = one('[data-told]', form)
  place.textContent = error.name === 'NotAllowedError' ? 'The key was not used, or not in time.' : error.message
  place.hidden = false
}

const sign = async (asked) => {
  const { id, response } = await navigator.credentials.get({
    publicKey: {
      challenge: unpack(asked.challenge), rpId: asked.rp, userVerification: 'required', timeout: 120000,
      allowCredentials: asked.allow.map((id) => ({ type: 'public-key', id: unpack(id) })),
    },
  })
  return {
    id, client_data: pack(response.clientDataJSON), authenticator_data: pack(response.authenticatorData), signature: pack(response.signature),
  }
}

async function vote(event) {
  const form = event.target
  if (event.submitter?.value === 'deny' || form.elements.answer.value) return
  event.preventDefault()
  try {
    const asked = await send(form.dataset.vote, new FormData(form))
    form.elements.answer.value = JSON.stringify(await sign(asked))
    form.elements.until.value = asked.until
    form.requestSubmit(event.submitter)
  } catch (error) { tell(form, error) }
}

async function register(event) {
  const form = event.target
  if (form.elements.answer.value) return
  event.preventDefault()
  try {
    const asked = await send('/keys/begin', { csrf: form.elements.csrf.value })
    const { response } = await navigator.credentials.create({
      publicKey: {
        challenge: unpack(asked.challenge), rp: { id: asked.rp, name: 'Tidegate' },
        user: { id: unpack(asked.user), name: asked.handle, displayName: asked.name || asked.handle },
        pubKeyCredParams: [{ type: 'public-key', alg: -7 }, { type: 'public-key', alg: -257 }], attestation: 'none', timeout: 120000,
        authenticatorSelection: { userVerification: 'required', residentKey: 'discouraged' },
        excludeCredentials: asked.exclude.map((id) => ({ type: 'public-key', id: unpack(id) })),
      },
    })
    const made = { client_data: pack(response.clientDataJSON), authenticator_data: pack(response.getAuthenticatorData()) }
    // Whoever has a key already shows it, so that a stolen session cannot add another one.
    if (asked.exclude.length) made.proof = await sign({ challenge: asked.challenge, rp: asked.rp, allow: asked.exclude })
    form.elements.answer.value = JSON.stringify(made)
    form.requestSubmit()
  } catch (error) { tell(form, error) }
}

// Pages about what goes on now load their content again, unless somebody is writing in it.
const refresh = async () => {
  const main = one('main')
  if (document.hidden || main.contains(document.activeElement) && document.activeElement !== main || one('details.end[open]')) return
  try {
    const answer = await fetch(location.href, { credentials: 'same-origin' })
    if (!answer.ok || answer.redirected) return
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
    const fresh = one('main', page)
    one('.notice', fresh)?.remove()
    const opened = all('details[open] > summary', main).map((summary) => summary.textContent)
    main.replaceChildren(...fresh.childNodes)
    for (const summary of all('details > summary', main)) if (opened.includes(summary.textContent)) summary.parentElement.open = true
    one('.side nav').replaceWith(one('.side nav', page))
    dress(main)
  } catch { /* The next time will do. */ }
}

// Keys: g and a letter goes somewhere; j and k walk through rows.
let before = ''
const walk = (step) => {
  const rows = all('[data-row]')
  if (!rows.length) return
  const at = rows.findIndex((row) => row.contains(document.activeElement))
  const next = rows[Math.min(Math.max(at + step, 0), rows.length - 1)]
  one('a, [tabindex]', next)?.focus()
}
// The focus stays in a closed dialog until the next frame, and keys that follow Escape at once are meant for the page.
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select, dialog[open]')) return
  const key = event.key
  const go = before === 'g' && one(`nav a[data-key="${CSS.escape(key)}"]`)
  before = key
  if (go) location.href = go.href
  else if (key === '?') help()
  else if (key === 't') theme()
  else if (key === 'j') walk(1)
  else if (key === 'k') walk(-1)
  else if (key === '/') one('[data-search]')?.focus()
  else if (key === 'r') one('[data-reason]')?.focus()
  else return
  event.preventDefault()
})

for (const button of all('[data-theme-switch]')) { button.hidden = false; button.onclick = theme }
for (const button of all('[data-help]')) { button.hidden = false; button.onclick = help }
dress(document)
one('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
setInterval(count, 1000)
if (document.body.dataset.refresh) setInterval(refresh, Number(document.body.dataset.refresh) * 1000)
