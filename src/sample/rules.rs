//! English letters to sounds: the rules of the Naval Research Laboratory (Elovitz, Johnson, McHugh, Shore 1976, "Automatic
//! translation of English text to phonetics by means of letter-to-sound rules", NRL report 7948, public domain), with the
//! phonemes written as ARPAbet.
//!
//! A line is `left[letters]right=phonemes`: the letters are said so between what is on their left and on their right. Of the
//! rules for a letter the first that fits counts. Signs: `#` one or more vowels, `:` any number of consonants, `^` one
//! consonant, `.` a voiced consonant, `+` a front vowel (E, I, Y), `&` a sibilant, `@` a consonant after which a long U has no
//! Y, `%` a suffix (ER, E, ES, ED, ING, ELY), `_` the end of the word.

/// All rules, grouped by the first letter of what they match.
pub(super) const RULES: &str = "
[A]_=AH
_[ARE]_=AA R
_[AR]O=AH R
[AR]#=EH R
^[AS]#=EY S
[A]WA=AH
[AW]=AO
_:[ANY]=EH N IY
[A]^+#=EY
#:[ALLY]=AH L IY
_[AL]#=AH L
[AGAIN]=AH G EH N
#:[AG]E=IH JH
[A]^+:#=AE
_:[A]^+_=EY
[A]^%=EY
_[ARR]=AH R
[ARR]=AE R
_:[AR]_=AA R
[AR]_=ER
[AR]=AA R
[AIR]=EH R
[AI]=EY
[AY]=EY
[AU]=AO
#:[AL]_=AH L
#:[ALS]_=AH L Z
[ALK]=AO K
[AL]^=AO L
_:[ABLE]=EY B AH L
[ABLE]=AH B AH L
[ANG]+=EY N JH
[ATHER]=AA DH ER
[A]=AE
_[BE]^#=B IH
[BEING]=B IY IH NG
_[BOTH]_=B OW TH
_[BUS]#=B IH Z
[BREAK]=B R EY K
[BUIL]=B IH L
[BB]=B
#[B]_=B
M[B]_=
[B]=B
_[CH]^=K
^E[CH]=K
[CHARACTER]=K EH R IH K T ER
[CH]=CH
_S[CI]#=S AY
[CI]A=SH
[CI]O=SH
[CI]EN=SH
[CITY]=S IH T IY
[C]+=S
[CK]=K
[COM]%=K AH M
[CC]+=K S
[CC]=K
[C]=K
#:[DED]_=D IH D
.E[D]_=D
#:^E[D]_=T
_[DE]^#=D IH
_[DO]_=D UW
_[DOES]=D AH Z
_[DOING]=D UW IH NG
_[DONE]_=D AH N
_[DOW]=D AW
[DGE]=JH
[DG]=JH
[DU]A=JH UW
[DD]=D
[D]=D
#:[E]_=
':^[E]_=
_:[E]_=IY
#[ED]_=D
#:[E]D_=
[EV]ER=EH V
[E]^%=IY
[ERI]#=IY R IY
[ERI]=EH R IH
#:[ER]#=ER
[EVERY]=EH V R IY
[ERROR]=EH R ER
[ERASE]=IH R EY S
[ER]#=EH R
[ER]=ER
_[EVEN]=IY V EH N
#:[E]W=
@[EW]=UW
[EW]=Y UW
[E]O=IY
#:&[ES]_=IH Z
#:[E]S_=
#:[ELY]_=L IY
#:[EMENT]=M EH N T
[EFUL]=F UH L
[EE]=IY
[EARN]=ER N
_[EAR]^=ER
[EAD]=EH D
#:[EA]_=IY AH
[EA]SU=EH
[EA]=IY
[EIGH]=EY
[EI]=IY
_[EYE]=AY
[EY]=IY
[EU]=Y UW
[EQUAL]=IY K W AH L
[E]=EH
[FUL]=F UH L
[FRIEND]=F R EH N D
[FATHER]=F AA DH ER
[FF]=F
[F]=F
[GIV]=G IH V
_[G]I^=G
[GE]T=G EH
SU[GGES]=G JH EH S
[GG]=G
_B#[G]=G
[G]+=JH
[GREAT]=G R EY T
[GON]E=G AO N
#[GH]=
_[GN]=N
[G]=G
_[HAV]=HH AE V
_[HERE]=HH IY R
_[HOUR]=AW ER
[HOW]=HH AW
[H]#=HH
[H]=
_[IN]=IH N
_[I]_=AY
[IN]D=AY N
[IER]=IY ER
#:R[IED]=IY D
[IED]_=AY D
[IEN]=IY EH N
[IE]T=AY EH
_:[I]%=AY
[I]%=IY
[IE]=IY
[I]^+:#=IH
[IR]#=AY R
[IZ]%=AY Z
[IS]%=AY Z
[I]D%=AY
+^[I]^+=IH
[I]T%=AY
#:^[I]^+=IH
[I]^+=AY
[IR]=ER
[IGH]=AY
[ILD]=AY L D
[IGN]_=AY N
[IGN]^=AY N
[IGN]%=AY N
[IQUE]=IY K
[I]=IH
[J]=JH
_[K]N=
[KK]=K
[K]=K
[LO]C#=L OW
L[L]=
#:^[L]%=AH L
[LEAD]=L IY D
_[LAUGH]=L AE F
[L]=L
[MOV]=M UW V
_[MRS]=M IH S IH Z
_[MR]=M IH S T ER
[MACHIN]=M AH SH IY N
M[M]=
[M]=M
E[NG]+=N JH
[NG]R=NG G
[NG]#=NG G
[NGL]%=NG G AH L
[NG]=NG
[NK]=NG K
_[NOW]_=N AW
N[N]=
[N]=N
[OF]_=AH V
[OROUGH]=ER OW
#:[OR]_=ER
#:[ORS]_=ER Z
[OR]=AO R
_[ONE]=W AH N
_[ONLY]=OW N L IY
_[ONCE]=W AH N S
[OW]=OW
_[OVER]=OW V ER
[OV]=AH V
[O]^%=OW
[O]^EN=OW
[O]^I#=OW
[OL]D=OW L
[OUGHT]=AO T
[OUGH]=AH F
_[OU]=AW
H[OU]S#=AW
[OUS]=AH S
[OUR]=AO R
[OULD]=UH D
^[OU]^L=AH
[OUP]=UW P
[OU]=AW
[OY]=OY
[OING]=OW IH NG
[OI]=OY
[OOR]=AO R
[OOK]=UH K
[OOD]=UH D
[OO]=UW
[O]E=OW
[O]_=OW
[OA]=OW
_[ON]=AA N
I[ON]=AH N
#:[ON]_=AH N
#^[ON]=AH N
[O]ST_=OW
[OF]^=AO F
[OTHER]=AH DH ER
[OSS]_=AO S
#:^[OM]=AH M
[O]=AA
[PH]=F
[PEOP]=P IY P
[POW]=P AW
[PUT]_=P UH T
_[PS]=S
P[P]=
[P]=P
[QUAR]=K W AO R
[QU]=K W
[Q]=K
_[RE]^#=R IY
[RH]=R
R[R]=
[R]=R
[SH]=SH
#[SION]=ZH AH N
[SOME]=S AH M
#[SUR]#=ZH ER
[SUR]#=SH ER
#[SU]#=ZH UW
#[SSU]#=SH UW
#[SED]_=Z D
#[S]#=Z
[SAID]=S EH D
^[SION]=SH AH N
[S]S=
.[S]_=Z
#:.E[S]_=Z
#:^##[S]_=Z
#:^#[S]_=S
U[S]_=S
_:#[S]_=Z
_[SCH]=S K
[S]C+=
#[SM]=Z M
#[SN]'=Z AH N
[STLE]=S AH L
[S]=S
_[THE]_=DH AH
[TO]_=T UW
[THAT]_=DH AE T
_[THIS]_=DH IH S
_[THEY]=DH EY
_[THERE]=DH EH R
[THER]=DH ER
[THEIR]=DH EH R
_[THAN]_=DH AE N
_[THEM]_=DH EH M
_[THESE]_=DH IY Z
_[THEN]=DH EH N
[THROUGH]=TH R UW
[THOSE]=DH OW Z
[THOUGH]_=DH OW
_[THUS]=DH AH S
[TH]=TH
#:[TED]_=T IH D
S[TI]#N=CH
[TI]O=SH
[TI]A=SH
[TIEN]=SH AH N
[TUR]#=CH ER
[TU]A=CH UW
_[TWO]=T UW
[TCH]=CH
T[T]=
[T]=T
_[UN]I=Y UW N
_[UN]=AH N
_[UPON]=AH P AO N
@[UR]#=UH R
[UR]#=Y UH R
[UR]=ER
[U]^_=AH
[U]^^=AH
[UY]=AY
_G[U]#=
G[U]%=
G[U]#=W
#N[U]=Y UW
@[U]=UW
[U]=Y UW
[VIEW]=V Y UW
V[V]=
[V]=V
_[WERE]=W ER
[WA]S=W AA
[WA]T=W AA
[WHERE]=W EH R
[WHAT]=W AH T
[WHOL]=HH OW L
[WHO]=HH UW
[WH]=W
[WAR]=W AO R
[WOR]^=W ER
[WR]=R
[WOMEN]=W IH M EH N
[W]=W
_[X]=Z
[X]=K S
[YOUNG]=Y AH NG
_[YOUR]=Y AO R
_[YOU]=Y UW
_[YES]=Y EH S
_[Y]=Y
#:^[Y]_=IY
#:^[Y]I=IY
_:[Y]_=AY
_:[Y]#=AY
_:[Y]^+:#=IH
_:[Y]^#=AY
[Y]=IH
Z[Z]=
[Z]=Z
";

/// What each letter is called, for words without a vowel and letters that stand alone.
pub(super) const LETTERS: [&str; 26] = [
    "EY",
    "B IY",
    "S IY",
    "D IY",
    "IY",
    "EH F",
    "JH IY",
    "EY CH",
    "AY",
    "JH EY",
    "K EY",
    "EH L",
    "EH M",
    "EH N",
    "OW",
    "P IY",
    "K Y UW",
    "AA R",
    "EH S",
    "T IY",
    "Y UW",
    "V IY",
    "D AH B AH L Y UW",
    "EH K S",
    "W AY",
    "Z IY",
];
