/// Particles stand behind what they belong to in the same braces, in the form that they have after a consonant: `{y 으로}` is
/// "벽돌로" and "유리잔으로".
extension Wordings {
  static let korean = Wordings(
    language: "ko",
    templates: [
      "made-of": [
        "{y 으로} 만든 {x}", "{y} 질감의 {x}", "{y 으로} 만들어진 {x}", "{y 으로} 된 {x}", "{y} 재질의 {x}", "{y 으로} 이루어진 {x}",
        "{y} 질감을 가진 {x}", "{y 으로} 만든 것 같은 {x}",
      ],
      "colored": ["{color x}", "{hue x}", "{hue 을} 띤 {x}", "{hue 으로} 칠한 {x}", "색깔이 {hue}인 {x}"],
      "counted": [
        "{x} {count} {counter}", "{count} {counter}의 {x}", "{x} {number}", "{x 이} {count} {counter}",
        "함께 있는 {x} {count} {counter}",
      ],
      "next-to": [
        "{y} 옆에 있는 {x}", "{y} 옆의 {x}", "나란히 있는 {x 과} {y}", "{y} 왼쪽에 있는 {x}", "{x} 오른쪽에 있는 {y}",
        "왼쪽에는 {x}, 오른쪽에는 {y}", "왼쪽의 {x 과} 오른쪽의 {y}",
      ],
      "on-top-of": [
        "{y} 위에 있는 {x}", "{y} 위의 {x}", "{y} 위에 올라간 {x}", "{y} 위에 놓인 {x}", "{x} 아래에 있는 {y}", "{x} 밑에 있는 {y}",
        "위에는 {x}, 아래에는 {y}",
      ],
      "inside-circle": [
        "원 안의 {x}", "원 안에 있는 {x}", "동그라미 안의 {x}", "동그라미 안에 있는 {x}", "원으로 둘러싸인 {x}", "{x 을} 둘러싼 원",
      ],
      "sketch": [
        "{x} 스케치", "{x 을} 그린 스케치", "{x}의 스케치", "연필로 그린 {x}", "{x} 연필 스케치", "선으로만 그린 {x}",
      ],
      // Again, so that each spelling of the size stands in one.
      "sized": ["{size x}", "{size x}", "{size x}", "크기가 {size x}"],
      "counted-colored": [
        "{color x} {count} {counter}", "{count} {counter}의 {color x}", "{color x} {number}",
        "{hue x 이} {count} {counter}",
      ],
      "counted-made-of": [
        "{y 으로} 만든 {x} {count} {counter}", "{y} 질감의 {x} {count} {counter}", "{y 으로} 만든 {count} {counter}의 {x}",
        "{y 으로} 만든 {x} {number}",
      ],
      "colored-next-to": [
        "{color2 y} 옆에 있는 {color x}", "{color2 y} 옆의 {color x}", "나란히 있는 {color x 과} {color2 y}",
        "{color2 y} 왼쪽에 있는 {color x}", "{color x} 오른쪽에 있는 {color2 y}", "왼쪽에는 {color x}, 오른쪽에는 {color2 y}",
      ],
      "colored-on-top-of": [
        "{color2 y} 위에 있는 {color x}", "{color2 y} 위의 {color x}", "{color2 y} 위에 올라간 {color x}",
        "{color x} 아래에 있는 {color2 y}", "위에는 {color x}, 아래에는 {color2 y}",
      ],
      "sized-next-to": [
        "{size2 y} 옆에 있는 {size x}", "{size2 y} 옆의 {size x}", "나란히 있는 {size x 과} {size2 y}",
        "{size2 y} 왼쪽에 있는 {size x}", "왼쪽에는 {size x}, 오른쪽에는 {size2 y}",
      ],
      "colored-inside-circle": ["원 안의 {color x}", "원 안에 있는 {color x}", "동그라미 안의 {color x}"],
      "made-of-inside-circle": [
        "원 안에 있는 {y 으로} 만든 {x}", "동그라미 안에 있는 {y 으로} 만든 {x}", "원 안에 있는 {y} 질감의 {x}",
        "원 안에 {y 으로} 만든 {x 이} 있는 모습",
      ],
      "sketch-made-of": [
        "{y 으로} 만든 {x} 스케치", "{y 으로} 만든 {x 을} 그린 스케치", "{y} 질감의 {x} 스케치", "{y 으로} 만든 {x}의 연필 스케치",
      ],
      "sketch-below": [
        "위에는 {x}, 아래에는 똑같은 {x}의 스케치", "위에는 {x}, 아래에는 그 스케치", "위에 있는 {x 과} 똑같은 아래의 {x} 스케치",
        "위에 있는 {x 을} 아래에 똑같이 그린 스케치",
      ],
      "colored-sketch-below": [
        "위에는 {color x}, 아래에는 똑같은 {color x}의 스케치", "위에는 {color x}, 아래에는 그 스케치",
        "위에 있는 {color x 을} 아래에 똑같이 그린 스케치",
      ],
      "made-of-sketch-below": [
        "위에는 {y 으로} 만든 {x}, 아래에는 똑같은 {x}의 스케치", "위에는 {y 으로} 만든 {x}, 아래에는 그 스케치",
        "위에는 {y} 질감의 {x}, 아래에는 그 스케치",
      ],
      "sized-colored-next-to": ["{size2 color2 y} 옆에 있는 {size color x}", "{size2 color2 y} 옆의 {size color x}"],
      "sketch-counted-made-of": [
        "{y 으로} 만든 {x} {count} {counter}의 스케치", "{y} 질감의 {x} {count} {counter}의 스케치",
      ],
      "made-of-sized-next-to": ["{size2 y} 옆에 있는 {y 으로} 만든 {size x}", "{size2 y} 옆의 {y 으로} 만든 {size x}"],
    ],
    // The last one is the color's own name, a noun.
    colors: [
      .red: ["빨간", "빨간색"], .orange: ["주황색"], .yellow: ["노란", "노란색"], .green: ["초록색", "녹색", "초록색"],
      .turquoise: ["청록색"], .blue: ["파란", "파란색"], .purple: ["보라색"], .pink: ["분홍색", "핑크색", "분홍색"], .brown: ["갈색"],
      .black: ["검은", "까만", "검은색"], .grey: ["회색"], .white: ["하얀", "흰", "흰색"],
    ],
    counts: [2: "두", 3: "세", 4: "네"], numbers: [2: "둘", 3: "셋", 4: "넷"],
    sizes: [.small: ["작은", "조그만", "아주 작은"], .large: ["큰", "커다란", "아주 큰"]])

  /// The word by which a thing is counted, by its noun: 개 goes with all that has none of its own.
  static func koreanCounter(for name: String) -> String {
    let noun = name.split(separator: " ").last.map(String.init) ?? name
    if let counter = counters[noun] { return counter }
    if noun.hasSuffix("나무") { return "그루" }
    return noun.hasSuffix("자동차") || noun.hasSuffix("열차") ? "대" : noun.hasSuffix("책") ? "권" : "개"
  }

  private static let counters = Dictionary(
    uniqueKeysWithValues: countedThings.flatMap { counter, things in
      things.split(whereSeparator: \.isWhitespace).map { (String($0), counter) }
    })

  private static let countedThings = [
    "마리": """
    개 강아지 개구리 개미 거미 거북 거북이 거위 게 고래 고릴라 고슴도치 고양이 곤충 곰 공룡 공작 공작새 귀뚜라미 기러기 기린 까마귀 나비 나무늘보
    낙타 너구리 늑대 다람쥐 얼룩다람쥐 달팽이 닭 당나귀 도도 도도새 도마뱀 독수리 돌고래 돼지 멧돼지 두꺼비 들소 딱정벌레 라마 랍스터 말 매머드 맥 모기
    무당벌레 무스 문어 물개 물고기 물소 바다표범 바닷가재 바이슨 바퀴벌레 박쥐 백조 뱀 버팔로 벌 꿀벌 말벌 벌레 범고래 병아리 복어 부엉이 북극곰 불곰
    비둘기 비버 사슴 사자 상어 새 새우 생쥐 소 수달 수탉 숫양 순록 스컹크 쌍봉낙타 악어 암소 암양 애벌레 앵무새 양 얼룩말 여우 열대어 염소 오랑우탄 오리
    오소리 오징어 올빼미 용 원숭이 유니콘 이구아나 전갈 젖소 쥐 지네 지렁이 참새 치타 칠면조 침팬지 캥거루 코끼리 코뿔소 코알라 타조 토끼 티라노사우루스
    파리 판다 펭귄 표범 푸들 퓨마 플라밍고 하마 학 해달 해파리 햄스터 호랑이 홍학 황소 안내견 보조견 도우미견
    """,
    "명": "공주 광대 귀신 닌자 뱀파이어 산타 악당 엘프 여왕 왕 왕자 에일리언 외계인 요정 우주비행사 유령 인어 좀비 지니 천사 히로인 히어로",
    "송이": "꽃 장미 튤립 해바라기 히비스커스 무궁화 벚꽃 연꽃 포도",
    "대": """
    경찰차 구급차 기관차 기차 레이싱카 마차 미니버스 버스 비행기 소방차 스쿠터 오토바이 자전거 전차 지프 카메라 컴퓨터 텔레비전 택시 트랙터 트럭
    트롤리버스 피아노 픽업트럭 헬리콥터 노트북 라디오 경삼륜차 고속철 모노레일 전화기 지하철 캠코더 트램 휠체어 휴대전화
    """,
    "척": "모터보트 보트 여객선 요트 유람선 카누 쾌속정 돛단배 페리",
    "장": "디비디 신용카드 엠디 입장권 지도 지폐 티켓",
    "자루": "곡괭이 단검 도끼 만년필 볼펜 붓 삽 식칼 연필 총 칼 크레용 펜",
    "권": "공책 책 만화책 일기장",
    "벌": "기모노 드레스 바지 반바지 비키니 사리 셔츠 수영복 실험복 옷 원피스 청바지 코트 티셔츠 한복",
  ]
}
