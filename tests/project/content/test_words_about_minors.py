"""The rule on minors beyond its first examples: numbers, languages, spellings, false refusals."""

from __future__ import annotations

import time

import pytest

from kohya_ext.project.content import forbidden_picture, forbidden_words

MINOR = """
age 12 | aged 12 | age: 15 | age=9 | age-14 | 15yo | 15 yo | 15y/o | 15 y.o. | 15 y.o |
12 years old | 12-year-old | 12 year old | 12-years-old | 12yrs old | 12 yr old | 12歳 |
１２歳 | 十二歳 | 12살 | 열두 살 | 12岁 | 十二岁 | 12세 | 12 Jahre alt | 12-jährige |
12-jähriges Mädchen | zwölfjährige | zwölf Jahre | 12 ans | douze ans | 12 años | doce años |
12 anos | doze anos | 12 anni | 12 лет | 12-летняя | двенадцать лет | 12 lat | 12 letnia |
12-letnia | 12 jaar | 12-jarig | 12 yaşında | 12 tahun | 12 tuổi | 12 років | 12-річна |
twelve-year-old | twelve years old | a 12 y old girl | (age 12:1.3) | ((12yo)) | age_12 |
12_years_old | 12yo_girl | she is 12 | a girl, 12 | 1girl, 12 years | age of 12 |
at the age of twelve | age twelve | under 18 | under eighteen | u18 | below 16 | not yet 18 |
sub-18 | preschooler | pre-schooler | middle schooler | elementary schooler |
high school girl | highschooler | junior high student | 小学生 | 中学生 | 高校生 | 女子高生 |
女子小学生 | 初中生 | 高中生 | 小学女生 | 幼稚園児 | 园儿 | 幼稚园 | ロリータ | ろり |
ロリっ子 | 萝莉控 | 유아 | 고등학생 | 여중생 | 여고생 | Kind | Kinder | Jugendliche |
Schülerin | Teenie | Minderjährige | adolescente | jeune fille | petite fille | petit garçon |
mineur | gamine | lycéenne | collégienne | niña | chica joven | jovencita | menor de edad |
garota jovem | menina | ragazzina | bambina | minorenne | ragazzino | девочка | подросток |
малолетняя | школьница | девчушка | dziewczynka | nastolatka | meisje | kleuter | tiener |
puber | kız çocuğu | ergen | küçük kız | gadis kecil | bocah | anak kecil | bé gái |
trẻ con | em bé | дівчинка | підліток | неповнолітня | l0li | lo1i | l o l i | lоli |
ｌｏｌｉ | chi1d | 14 y/o | fourteen yo | 14-yr-old | 14years old | 7-8 years old |
10-12 years old | aged between 10 and 12 | in her early teens | teenaged | tween | pubescent |
prepubescent | pre-pubescent | youngster | infantile | babygirl | baby girl | schoolgirl |
school girl | school uniform child | grade schooler | fifth grader | 5th grader |
kindergartner | child-like body | underage | under-age | under age | minor girl | jailbait |
young-looking child | flat-chested child | daughter, 8 | 13th birthday | her 12th birthday |
age: twelve | 15 éves | 12 let | 12letá | 12 ετών | 12 साल | बच्ची | طفلة | ילדה | เด็ก |
เด็กหญิง | 12 ปี | dítě | holčička | gyerek | kislány | flicka | lapsi | tyttö |
17 years of age | sixteen years of age | under the age of 18 | a girl of twelve | a boy of 9 |
ninth grade student | 9th-grade girl | high school senior | freshman in high school | barely 17 |
seventeen y o | 女童 | 男童 | 12 år | 12 årig | 12 vuotias | 12 rokov | 12 godina | 12 години |
عمرها 12 سنة | בת 12 | djevojčica | dijete | anak perempuan |
c h i l d | k i d s | t-e-e-n | c.h.i.l.d | t e e n a g e r | a c h i l d | s h o t a | born in
2015, photo from 2024 | born 2012, taken in 2023 | year 2020, she was born in 2008 | geboren 2012,
Foto von 2022 | née en 2012, photo de 2022 | παιδί | ανήλικη | ανήλικος | έφηβη | αγοράκι | ΠΑΙΔΙ
| κοριτσακι | 12 χρονών | 12χρονη | copil | copilă | fetiță | minoră | adolescentă | 12 ani | de
12 ani | дете | момиченце | непълнолетна | 12-годишна | dieťa | dievčatko | 12 ročná | devojčica |
devojka od 12 godina | maloletna | maloletnica | menor d'edat | kanak-kanak | budak perempuan |
remaja | dalagita | batang babae | কিশোরী | শিশু | بچی | دختربچه | کودک | نوجوان | ۱۲ ساله | 12
ساله | लड़की 12 साल | नाबालिग | किशोरी | tonåring | minderårig | tenåring | mindreårig |
barneansikt | 12-åring | skolflicka | skolepige | teenagepige | alaikäinen | teini | koulutyttö |
kamasz | tizenéves | kiskorú | iskoláslány | nezletilá | školačka | puberťačka | teenagerka |
uczennica | niepełnoletnia | małoletnia | licealistka | minderjähriges | Grundschülerin |
Teenagerin | Halbwüchsige | scolaretta | liceale | adolescenti | tredicenne | quindicenne |
quinceañera | quinceañero | treceañera | doceañera | pré-adolescente | préado | lycéens | öğrenci
kız 12 yaş | 12 yaş | reşit olmayan | nữ sinh cấp hai | vị thành niên | 12岁女孩 | 未成年 |
未成年人 | 少女 | 幼女 | 미성년자 | 초등학생 | 소녀 | 유치원생 | 十三歳 | 一四歳 |
十 二 歳 | 12 歳 | ๑๒ ปี |
เด็กนักเรียน | школярка | неповнолітній | 15-річна | первоклассница |
несовершеннолетняя | тринадцатилетняя | 12 y.o | 12-yo
| aged twelve years | her age is 12 | age is 12 | age was 14 | girl (14) | 14 yrs | 14 years young
| not of age | not yet of age | minor aged | pre teen | pre-teenage | kiddo | kiddie | kiddies |
tiny tot | high-school-age | school-aged | school age | under legal age | below legal age | lass
of 14 | sweet sixteen | sixteenth birthday | age thirteen | 2nd grader | year 9 pupil | sixth form
girl | nursery child | infant school
"""

HARMLESS = """
19 years of age | under the age of 30 | a girl of 25 | girls of 12 countries | a college senior |
a girl of 17th century France | barely 12 stars | college freshman | senior citizen |
grade A student | 25 år | 30 godina | בת 25 | barn owl | age of 18 | 120 år |
a group of boys of 1980s |
baby face | babyface | baby-faced | baby blue dress | baby's breath | baby hair | baby bangs |
baby doll dress | minor scratches | minor damage | minor details | a minor key | in A minor |
minor adjustments | school bus | school building | kid leather | kid gloves | kidney |
kidskin boots | child seat | childhood home | childhood friend | age 25 | aged 21 | age 18 |
18yo | 25 years old | 30-year-old | 18歳 | 25歳 | 100 years old | 1000-year-old dragon |
12 years later | a 12-year-old whisky | 12 year old scotch | a 12 years old tree | age 120 |
aged wine | aged 12 months | 12 hours old | old school | school of fish |
high school reunion | young woman | young adult | young man | teen spirit poster |
twenty years old | nineteen years old | ages ago | age of 12 kingdoms | page 12 | image 12 |
stage 12 | package 15 | voltage 12 | 12 yards | 15 yottabytes | f/1.2 12 yo-yo |
Lolita fashion | Ursa Minor | minor arcana | Asia Minor | art kit kid icarus | Billy the Kid |
Cisco Kid | child's pose yoga | Child's play poster | infantry | infanta | adolescent tree |
juvenile hall sign | teen titans logo | 16:9 | 12 am | 12 years in the making |
age 40, 12 roses | menor ruido | dolor menor | tono menor | mineure gamme | ut mineur |
la mineur | Kinderriegel | Kinderschokolade | kinder surprise egg | ans 12 | Junge |
alter Mann | enfant terrible | les enfants du paradis | 12 tahun lalu | 12 лет назад |
petite woman | young at heart | big boy engine | boy band | girl power | old boys |
cub scout badge | bear cub | lion cub | 18 years old | under 180 cm | under 18 degrees |
12 jours | 12 anos luz | dos niños héroes statue | detective | детектив | детали | деталь |
dziecinny | meisjesnaam | scolare | teint | (middle age:1.2) | (old age:1.3) | (girl:1) |
(girl:1.2) | a kind, gentle woman | under 5 lamps | below 12 lanterns |
1girl, 2 dogs, 3 cats | 25 y.o. | 18-летняя девушка | 20歳 | 二十歳 | 二十五歳 | 十八歳 |
スカート 12 | 18 лет | 25 ans | 30 Jahre alt | 18-jährige | 120 años | vingt ans |
high school building | grader machine | u12 port | step 12, sub 12 kHz |
12 o'clock | size 14 | year 2014 | photo from 2014 | born in 1990, photo from 2020 | car built in
2015, photo 2020 | a band born in 1980, 1999 | u.s.a. | d.v.d. | s m l xl | a b c d | f i n | 14
karat | top 14 | 12 bar blues | route 12 | chapter 12 | 12 megapixels | 12mm lens | f/12 | ISO 12
| gate 14 | 14 carat gold ring | 12 strings guitar | no. 12 | level 12 wizard | 12 eggs | barn |
barn roof | old barn | red barn owl | ado about nothing | tot die Blume | tot | Teint | tiny house
| dete nota | anime | animal | 12 animals | aniseed | 12 animation frames | 12 anime figures |
dual monitor | girl scout cookies | dress size 12 | shoe size 9 | 14 inch laptop | 5 am | 9 to 5 |
12 angry men | seventeen magazine | copilot | ford copilot | minor league | nena song | criatura
marina | budak beach | brownie cake | ado | F14 Tomcat | F-14 | 14F outside | kidnapped treasure |
kidney beans | teen vogue poster | year 9 of the war | 15 years in business | turns 13 degrees
left | shot at 14 mm | only 14 left in stock | just 14 minutes | page turning 14 | 16 bit art | 8
bit | 14th century | 12th floor | Ani 12 | Schüler Gymnasium | born in 2000, photo from 2024,
camera from 2010 | born in 2010, 2048 px | 1 x 2 x 3 | A. B. C. D.
"""


def listed(text: str) -> list[str]:
    return [" ".join(one.split()) for one in text.split("|")]


@pytest.mark.parametrize("words", listed(MINOR))
def test_a_minor_is_recognised_in_any_words(words: str):
    for prompt in (f"{words}, nude", f"photo, nude, {words}"):
        assert forbidden_words(prompt) is not None
        assert forbidden_picture(None, prompt) is not None


@pytest.mark.parametrize("words", listed(HARMLESS))
def test_harmless_words_are_not_refused(words: str):
    assert forbidden_words(f"{words}, nude") is None


def test_long_texts_of_any_script_are_read_at_once():
    began = time.process_time()
    for letters in ("а", "十", "a1", "age ", "l o ", "kid 1"):
        forbidden_words(letters * 3000)
    assert time.process_time() - began < 2
