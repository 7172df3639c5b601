// What the page says, in the language of the browser.

const KOREAN = {
  tagline: "이웃과 함께 사는 공동구매 API",
  restore: "예제 다시 열기",
  restoreSure: "열려 있는 탭을 모두 닫고 예제를 다시 열까요?",
  email: "이메일",
  password: "비밀번호",
  signIn: "로그인",
  signOut: "로그아웃",
  signedIn: "님으로 로그인함",
  loading: "불러오는 중…",
  ended: "로그인이 끝났습니다. 다시 로그인해 주세요.",
  unreachable: "서버에 연결할 수 없습니다.",
  broken: "페이지를 열지 못했습니다:",
};

const ENGLISH = {
  tagline: "Buy together with your neighbours, by API",
  restore: "Reopen examples",
  restoreSure: "Close all tabs and open the examples again?",
  email: "E-mail",
  password: "Password",
  signIn: "Sign in",
  signOut: "Sign out",
  signedIn: "is signed in",
  loading: "Loading…",
  ended: "You are no longer signed in. Please sign in again.",
  unreachable: "The server can't be reached.",
  broken: "The page could not start:",
};

const isKorean = navigator.language.toLowerCase().startsWith("ko");

export const text = isKorean ? KOREAN : ENGLISH;

/** Put the texts where the page's elements ask for them. */
export function translate() {
  document.documentElement.lang = isKorean ? "ko" : "en";
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = text[element.dataset.text];
  }
  for (const element of document.querySelectorAll("[data-placeholder]")) {
    element.placeholder = text[element.dataset.placeholder];
  }
}
